"""Images listed in train_split.csv and val_split.csv, as Sports10 comes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ppcds.datasets.file_split import FileSplit
from ppcds.datasets.split_table import class_names, read_split


class CSVSplit(FileSplit):
    """One split of a folder with `<split>_split.csv` (columns filename, class) and the images it lists.

    root: the folder; filenames are relative to it.  split: "train", "val" or another one that has a file;
    those that end in "train" may leave classes blank.
    views, size, interpolation, decode: see ImageSplit.
    classes: names in the order of their ids, or None for the data set's own (CLASSES), or where it has
    none for the sorted names of train_split.csv (of games_train_split.csv for the split "games_val").

    split[i] is (list of one array a view, label), label -1 where a row of train names no class.
    Attributes: those of ImageSplit, and filenames (list).
    Everything that the CSV can have wrong is raised as one UserError when the split is made.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        views: list | None = None,
        size: tuple[int, int] | None = (72, 128),
        interpolation: str = "bilinear",
        classes: tuple[str, ...] | None = None,
        decode: str = "exact",
    ):
        root = Path(root)
        pair, underscore, _ = split.rpartition("_")
        classes = tuple(classes or self.CLASSES or class_names(root, f"{pair}{underscore}train"))
        filenames, labels = read_split(root, split, classes, blank_allowed=split.endswith("train"))
        super().__init__(root, split, classes, filenames, labels, views, size, interpolation, decode)

    @classmethod
    def class_names(cls, root: Path, split: str = "train") -> tuple[str, ...]:
        """The sorted class names of `root`/<split>_split.csv."""
        return class_names(root, split)

    def list_digest(self) -> str:
        """SHA-256 of the CSV."""
        return hashlib.sha256((self.root / f"{self.split}_split.csv").read_bytes()).hexdigest()
