"""CIFAR-10 in the layout of Sports10, made from its official archive."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from ppcds.datasets.csv_split import CSVSplit
from ppcds.errors import UserError
from ppcds.files import written_whole
from ppcds.safe_pickle import read_pickle

BATCHES = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}


class CIFAR10(CSVSplit):
    """A split of CIFAR-10 as `convert_cifar10` leaves it; arguments, attributes, errors as CSVSplit."""

    CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        size: tuple[int, int] | None = (32, 32),
        **options,
    ):
        super().__init__(root, split, size=size, **options)


def convert_cifar10(archive_or_folder: str | os.PathLike, root: str | os.PathLike) -> Path:
    """Turn cifar-10-python.tar.gz, or its unpacked folder, into `root`/CIFAR10 and return that folder.

    It holds train/<class>/00000.png ... and test/..., numbered as in the archive, train_split.csv and
    val_split.csv (the 10,000 test images). The CSVs come last: without them a conversion is not finished.
    Raises UserError if a batch is missing or is not what CIFAR-10 has.
    """
    batches = _read_batches(Path(archive_or_folder))
    folder = Path(root) / "CIFAR10"
    tables = {}
    total = sum(len(labels) for _, labels in batches["train"] + batches["test"])
    with tqdm(total=total, desc="CIFAR-10", unit="image") as bar:
        for split, parts in batches.items():
            for name in CIFAR10.CLASSES:
                (folder / split / name).mkdir(parents=True, exist_ok=True)
            rows = []
            for images, labels in parts:
                for image, label in zip(images, labels):
                    name = CIFAR10.CLASSES[label]
                    filename = f"{split}/{name}/{len(rows):05d}.png"
                    _, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
                    png.tofile(folder / filename)
                    rows.append((filename, name))
                    bar.update()
            tables[split] = pd.DataFrame(rows, columns=["filename", "class"])
    for split, file in (("test", "val_split.csv"), ("train", "train_split.csv")):
        with written_whole(folder / file) as temporary:
            tables[split].to_csv(temporary, index=False)
    return folder


def _read_batches(source: Path) -> dict[str, list]:
    """Of each split, the (images [N, 32, 32, 3] uint8 RGB, labels [N]) of its batches."""
    if source.is_dir():
        inner = source / "cifar-10-batches-py"
        base = inner if inner.is_dir() else source
        return _read_all(source, lambda name: (base / name).read_bytes())
    try:
        with tarfile.open(source) as archive:
            # members are read by name and nothing is unpacked, so no path of the archive is used
            return _read_all(source, lambda name: _member(archive, f"cifar-10-batches-py/{name}"))
    except (OSError, EOFError, tarfile.TarError) as error:
        raise UserError(f"{source} is not cifar-10-python.tar.gz or its folder: {error}") from error


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)  # None for what is no file
    return file.read() if file else b""


def _read_all(source: Path, read: Callable[[str], bytes]) -> dict[str, list]:
    batches: dict[str, list] = {split: [] for split in BATCHES}
    for split, names in BATCHES.items():
        for name in names:
            try:
                batches[split].append(_parse_batch(read(name)))
            except Exception as error:  # a damaged archive or pickle can raise almost any of them
                raise UserError(f"{source}: no usable {name} of CIFAR-10: {error}") from error
    return batches


def _parse_batch(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    batch = read_pickle(io.BytesIO(data))
    if not all(type(label) is int for label in batch["labels"]):
        raise ValueError("its labels are no numbers")
    pixels, labels = batch["data"], np.asarray(batch["labels"])
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3072) or not set(labels) <= set(range(10)):
        raise ValueError("it does not hold rows of 3072 bytes with labels from 0 to 9")
    return pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy(), labels
