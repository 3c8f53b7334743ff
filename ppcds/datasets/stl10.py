"""STL-10, read from its official binary files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ppcds.datasets.split import ImageSplit
from ppcds.errors import UserError

FOLDER = "stl10_binary"  # of the official archive
IMAGES = {"train": ["train_X.bin", "unlabeled_X.bin"], "val": ["test_X.bin"]}
LABELS = {"train": "train_y.bin", "val": "test_y.bin"}
CLASS_NAMES = "class_names.txt"
FILES = (*IMAGES["train"], *IMAGES["val"], *LABELS.values(), CLASS_NAMES)
OFFICIAL = {"train_X.bin": 5000, "test_X.bin": 8000, "unlabeled_X.bin": 100_000}  # images
SHAPE = (3, 96, 96)  # an image in the file: channel, column, row
IMAGE_BYTES = 3 * 96 * 96


class STL10(ImageSplit):
    """A split of STL-10: "train" (5000 labelled images, then 100,000 unlabelled) or "val" (its 8000 of test).

    root: the folder that holds train_X.bin, train_y.bin, test_X.bin, test_y.bin, or stl10_binary with them.
    unlabeled_X.bin may be absent, and files may hold fewer images than the official ones, as long as images
    and labels agree. Images are read from the files one at a time.  Other arguments: see ImageSplit.
    Raises UserError for a missing, truncated or mislabelled file.
    """

    CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        views: list | None = None,
        size: tuple[int, int] | None = (96, 96),
        interpolation: str = "bilinear",
    ):
        if split not in IMAGES:
            raise UserError(f"STL-10 has the splits train and val (its test images), and no {split!r}")
        root = Path(root)
        folder = find_folder(root)
        if folder is None:
            raise UserError(
                f"there is no train_X.bin in {root}: get stl10_binary.tar.gz and unpack it with "
                f"python tools/prepare_data.py stl10_binary.tar.gz --root {root.parent}"
            )
        _check_class_names(folder / CLASS_NAMES, self.CLASSES)
        labels = _read_labels(folder / LABELS[split])
        labelled, *unlabelled = (folder / name for name in IMAGES[split])
        counts = {labelled: _count(labelled, len(labels))}
        counts.update({file: _count(file) for file in unlabelled if file.is_file()})
        labels = np.concatenate([labels, np.full(sum(counts.values()) - len(labels), -1)])
        super().__init__(root, split, self.CLASSES, labels, views, size, interpolation)
        self.counts = counts  # of images in each file, in the order of the rows

    def read_image(self, index: int) -> np.ndarray:
        """The image as it is stored: RGB uint8 [96, 96, 3]."""
        row = int(self.rows[index])
        files = iter(self.counts)
        file = next(files)
        while row >= self.counts[file]:
            row -= self.counts[file]
            file = next(files)
        # not mapped into memory: reading processes can be handed the split, and a file that gets shorter is
        # an error instead of the end of the run
        try:
            pixels = np.fromfile(file, np.uint8, IMAGE_BYTES, offset=row * IMAGE_BYTES)
        except OSError as error:
            raise UserError(f"cannot read {file}: {error.strerror}") from error
        if len(pixels) < IMAGE_BYTES:
            raise UserError(f"{file} ends before the end of image {row}: it was cut off since the run began")
        return np.ascontiguousarray(pixels.reshape(SHAPE).transpose(2, 1, 0))


def find_folder(root: Path) -> Path | None:
    """`root` or `root`/stl10_binary, whichever holds STL-10's files."""
    return next((folder for folder in (root, root / FOLDER) if (folder / "train_X.bin").is_file()), None)


def _read_labels(file: Path) -> np.ndarray:
    """Labels from 0, int64 [N]; the file has them from 1."""
    stored = np.frombuffer(_existing(file).read_bytes(), np.uint8)
    wrong = np.flatnonzero((stored < 1) | (stored > len(STL10.CLASSES)))
    if len(wrong):
        raise UserError(
            f"{file}: {len(wrong)} of {len(stored)} labels are not from 1 to {len(STL10.CLASSES)}, the first "
            f"is {stored[wrong[0]]} at byte {wrong[0]}"
        )
    return stored.astype(np.int64) - 1


def _count(file: Path, labels: int | None = None) -> int:
    """Images in a file, of which `labels` are expected if given."""
    size = _existing(file).stat().st_size
    official = f"the official file has {OFFICIAL[file.name] * IMAGE_BYTES}"
    if labels is not None and size != labels * IMAGE_BYTES:
        raise UserError(
            f"{file} has {size} bytes, expected {labels * IMAGE_BYTES}: {IMAGE_BYTES} for each of the "
            f"{labels} labels beside it ({official})"
        )
    if size == 0 or size % IMAGE_BYTES:
        raise UserError(f"{file} has {size} bytes, no whole number of images of {IMAGE_BYTES} ({official})")
    return size // IMAGE_BYTES


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise UserError(f"{file} is missing: unpack stl10_binary.tar.gz again")
    return file


def _check_class_names(file: Path, classes: tuple[str, ...]) -> None:
    if file.is_file() and tuple(file.read_text(encoding="utf-8", errors="replace").split()) != classes:
        raise UserError(f"{file} does not name STL-10's classes in their order: {', '.join(classes)}")
