"""Embeddings of many images in one file, while memory holds a batch of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn.functional as F
from numpy.lib.format import open_memmap
from tqdm import tqdm

from ppcds.config import Recipe
from ppcds.datasets.bad_images import LEFT_OUT
from ppcds.datasets.loader import batches_of, load_batches
from ppcds.datasets.split import ImageSplit
from ppcds.engine.features import feature_function, require_finite_features
from ppcds.engine.predict import printable, read_batches
from ppcds.errors import UserError
from ppcds.models import Encoder

ROWS_AT_ONCE = 4096  # that are copied


class Shown(NamedTuple):
    """A batch: names of n images, their classes ("" where unknown), and the images [n, 3, H, W] float32."""

    names: list[str]
    classes: list[str]
    images: np.ndarray


def embedding_function(
    network: paddle.nn.Layer, stage: int | None = None, head_layer: int = 0
) -> Callable[[paddle.Tensor], paddle.Tensor]:
    """images [N, 3, H, W] -> embeddings [N, D] of a network in evaluation mode.

    stage: 1 to 4, its map averaged over the image; None: the features below the classifier, or below the
    projection head, or behind `head_layer` of an Encoder's (see extract_features).
    """
    if stage is None:
        return feature_function(network, head_layer)
    backbone = network.backbone if isinstance(network, Encoder) else network
    return lambda images: F.adaptive_avg_pool2d(backbone.stage_features(images)[stage - 1], 1).flatten(1)


def shown_files(
    files: list[str], recipe: Recipe, classes: Iterable[str], skip: Callable[[UserError], None]
) -> Iterator[Shown]:
    """Batches of image files; the class is the name of a file's folder, where it is one of `classes`."""
    known = set(classes)
    for names, images in read_batches(files, recipe, skip):
        folders = [os.path.basename(os.path.dirname(os.path.abspath(name))) for name in names]
        yield Shown([*map(printable, names)], [name if name in known else "" for name in folders], images)


def shown_split(split: ImageSplit, recipe: Recipe, skip: Callable[[UserError], None]) -> Iterator[Shown]:
    """Batches of a split, without images that cannot be read: skip is called with what is wrong.

    Names are those of the split's table, or "<split> <number>" where images are in no files of their own.
    """
    told = set(split.unreadable)
    split.on_bad_image = "leave out"
    rows_of = batches_of(len(split), recipe.data.batch_size, drop_last=False)
    loader = load_batches(split, rows_of, recipe.data.num_workers, recipe.run.seed)
    files = getattr(split, "filenames", None)
    for rows, (views, labels) in zip(rows_of, loader):
        for number in sorted(set(split.unreadable) - told):
            skip(UserError(split.unreadable[number]))
            told.add(number)
        labels = labels.numpy()
        kept = labels != LEFT_OUT
        rows = [row for row, keep in zip(rows, kept) if keep]
        names = [files[row] if files else f"{split.split} {row}" for row in rows]
        classes = [split.classes[label] if label >= 0 else "" for label in labels[kept]]
        if rows:
            yield Shown(names, classes, views[0].numpy()[kept])


def write_embeddings(
    path: Path, embed: Callable[[paddle.Tensor], paddle.Tensor], batches: Iterable[Shown], count: int
) -> tuple[list[str], list[str]]:
    """Write the embeddings [N, D] float32 as .npy; returns the N images' names and classes, row by row.

    count: the most rows there can be.  Raises UserError without any image, or if a number is not finite.
    """
    names, classes, rows = [], [], None
    with tqdm(total=count, desc="embeddings", unit="image", leave=False, disable=None) as bar:
        for shown in batches:
            with paddle.no_grad():
                found = embed(paddle.to_tensor(shown.images)).numpy()
            require_finite_features(found)
            if rows is None:
                rows = open_memmap(path, "w+", np.float32, (count, found.shape[1]))
            rows[len(names) : len(names) + len(found)] = found
            names += shown.names
            classes += shown.classes
            bar.update(len(found))
    if rows is None:
        raise UserError(f"none of the {count} images can be read")
    rows.flush()
    if len(names) < count:
        _shorten(path, rows, len(names))
    return names, classes


def _shorten(path: Path, rows: np.ndarray, count: int) -> None:
    shorter = path.with_suffix(".part")
    part = open_memmap(shorter, "w+", rows.dtype, (count, rows.shape[1]))
    for start in range(0, count, ROWS_AT_ONCE):
        part[start : start + ROWS_AT_ONCE] = rows[start : min(start + ROWS_AT_ONCE, count)]
    part.flush()
    os.replace(shorter, path)
