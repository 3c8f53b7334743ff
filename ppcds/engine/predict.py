"""Classes of image files: found, read and classified a batch at a time, written as they come."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
import paddle
import paddle.nn.functional as F

from ppcds.config import Recipe
from ppcds.datasets.images import IMAGE_SUFFIXES, read_image, resize
from ppcds.errors import UserError
from ppcds.files import written_whole
from ppcds.transforms.build import build_view


class Prediction(NamedTuple):
    """A file and its most probable classes, the best first, as (class, probability)."""

    file: str
    ranked: list[tuple[str, float]]


def find_images(paths: Iterable[str | os.PathLike]) -> list[str]:
    """Files as they are named, and of folders the images in them and below, sorted.

    Hidden files, and folders behind a link, are left out. Raises UserError if nothing is left.
    """
    found = []
    for path in map(os.fspath, paths):
        if not os.path.isdir(path):
            found.append(path)
            continue
        for folder, folders, names in os.walk(path):
            folders.sort()
            images = [name for name in sorted(names) if Path(name).suffix.lower() in IMAGE_SUFFIXES]
            found += [os.path.join(folder, name) for name in images if not name.startswith(".")]
    if not found:
        looked = ", ".join(map(str, paths))
        raise UserError(f"no image in {looked}: looked for {', '.join(sorted(IMAGE_SUFFIXES))}")
    return found


def predict_files(
    network: paddle.nn.Layer,
    files: Iterable[str],
    recipe: Recipe,
    classes: tuple[str, ...] | list[str],
    top: int,
    skip: Callable[[UserError], None],
) -> Iterator[Prediction]:
    """The `top` classes of each file, in the order given; only one batch of images is held at a time.

    network: images -> logits, in evaluation mode.  skip: called with what is wrong with a file that cannot
    be read; it gets no prediction.
    """
    for readable, images in read_batches(files, recipe, skip):
        for file, row in zip(readable, _probabilities(network, images)):
            best = np.argsort(-row, kind="stable")[:top]
            yield Prediction(printable(file), [(classes[i], float(row[i])) for i in best])


def read_batches(
    files: Iterable[str], recipe: Recipe, skip: Callable[[UserError], None]
) -> Iterator[tuple[list[str], np.ndarray]]:
    """(n files, their images [n, 3, H, W]) a batch, resized and shown as the recipe says for evaluation.

    Files that cannot be read are not in it: skip is called with what is wrong.
    """
    view = build_view(recipe.views.eval, "views.eval")
    height_width = tuple(recipe.data.size)

    def read(file: str) -> np.ndarray | UserError:
        try:
            image = read_image(file, height_width if recipe.data.decode == "fast" else None)
        except UserError as error:
            return error
        return view(resize(image, height_width, recipe.data.interpolation))

    files = list(files)
    size = recipe.data.batch_size
    with ThreadPoolExecutor(max(1, recipe.data.num_workers)) as readers:
        for batch in (files[start : start + size] for start in range(0, len(files), size)):
            images, readable = [], []
            for file, image in zip(batch, readers.map(read, batch)):
                if isinstance(image, UserError):
                    skip(image)
                else:
                    images.append(image)
                    readable.append(file)
            if images:
                yield readable, np.stack(images)


def _probabilities(network: paddle.nn.Layer, images: np.ndarray) -> np.ndarray:
    """Images [N, 3, H, W] -> [N, classes]."""
    with paddle.no_grad():
        return F.softmax(network(paddle.to_tensor(images)), axis=1).numpy()


def write_table(predictions: Iterable[Prediction], stream: TextIO, file_width: int) -> None:
    """A line a class in columns, with a line at the top; the file stands beside its first class."""
    stream.write(f"{'file':<{file_width}}  rank  probability  class\n")
    for file, ranked in predictions:
        for rank, (name, probability) in enumerate(ranked, 1):
            shown = file if rank == 1 else ""
            stream.write(f"{shown:<{file_width}}  {rank:>4}  {probability:>11.4f}  {name}\n")


def write_csv(predictions: Iterable[Prediction], stream: TextIO) -> None:
    """Columns file, rank, class, probability: a line a class."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["file", "rank", "class", "probability"])
    for file, ranked in predictions:
        writer.writerows([file, rank, name, f"{p:.6f}"] for rank, (name, p) in enumerate(ranked, 1))


def write_json(predictions: Iterable[Prediction], stream: TextIO) -> None:
    """A list of {"file", "predictions": [{"class", "probability"}]}: a line a file."""
    before = "[\n"
    for file, ranked in predictions:
        entry = {"file": file, "predictions": [{"class": n, "probability": round(p, 6)} for n, p in ranked]}
        stream.write(before + json.dumps(entry, ensure_ascii=False))
        before = ",\n"
    stream.write("\n]\n" if before == ",\n" else "[]\n")


@contextlib.contextmanager
def open_output(path: str | None) -> Iterator[TextIO]:
    """The screen for None, else a file that appears, whole, when the block ends without an error."""
    if path is None:
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:  # the reader, `| head` for instance, has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    try:
        with written_whole(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
            yield stream
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def printable(file: str) -> str:
    """A name that is not in UTF-8, as old archives leave them, with its odd bytes as escapes."""
    return file.encode("utf-8", "backslashreplace").decode("utf-8")
