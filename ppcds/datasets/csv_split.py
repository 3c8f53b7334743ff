"""Images listed in train_split.csv and val_split.csv, as Sports10 comes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from paddle.io import Dataset

from ppcds.datasets.images import INTERPOLATIONS, read_image, resize
from ppcds.datasets.split_table import class_names, read_split
from ppcds.errors import UserError
from ppcds.options import did_you_mean
from ppcds.transforms import evaluation_view, notebook_views


class CSVSplit(Dataset):
    """One split of a folder with `<split>_split.csv` (columns filename, class) and the images it lists.

    root: the folder; filenames are relative to it.  split: "train", "val" or another one that has a file.
    views: list of callables from RGB uint8 [H, W, 3] to float32 [3, H, W]; by default the notebook's two
    for train and the evaluation view for all others.  size: (H, W), or None for the files' own sizes.
    classes: names in the order of their ids, or None for the data set's own (CLASSES), or where it has
    none for the sorted names of train_split.csv.

    split[i] is (list of one array a view, label), label -1 where a row of train names no class.
    Attributes: root, classes, filenames (list), labels (int64 [N]).
    Everything that the CSV can have wrong is raised as one UserError when the split is made.
    """

    CLASSES: tuple[str, ...] | None = None

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        views: list | None = None,
        size: tuple[int, int] | None = (72, 128),
        interpolation: str = "bilinear",
        classes: tuple[str, ...] | None = None,
    ):
        super().__init__()
        if interpolation not in INTERPOLATIONS:
            near = did_you_mean(str(interpolation), INTERPOLATIONS)
            raise UserError(f"unknown interpolation {interpolation!r}{near}")
        if views is None:
            views = notebook_views() if split == "train" else [evaluation_view()]
        self.root = Path(root)
        self.views = list(views)
        self.size = size
        self.interpolation = interpolation
        self.classes = tuple(classes or self.CLASSES or class_names(self.root))
        self.filenames, self.labels = read_split(
            self.root, split, self.classes, blank_allowed=split == "train"
        )

    def __len__(self) -> int:
        return len(self.filenames)

    def load_image(self, index: int) -> np.ndarray:
        """The image before its views: RGB uint8 [H, W, 3] of the split's size."""
        image = read_image(self.root / self.filenames[index])
        return image if self.size is None else resize(image, self.size, self.interpolation)

    def __getitem__(self, index: int) -> tuple[list[np.ndarray], int]:
        image = self.load_image(index)
        # a list made last: Paddle's transforms take a tuple for (image, label, ...)
        return [view(image) for view in self.views], int(self.labels[index])
