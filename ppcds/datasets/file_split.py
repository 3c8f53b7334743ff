"""Images that lie in files of their own below one folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ppcds.datasets.images import read_image
from ppcds.datasets.split import ImageSplit


class FileSplit(ImageSplit):
    """One split of images in files; a subclass lists them, and may be packed (see packed.py).

    filenames: list of N paths relative to root, with forward slashes.  The other arguments and all
    attributes: see ImageSplit.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        split: str,
        classes: tuple[str, ...],
        filenames: list[str],
        labels: np.ndarray,
        views: list | None,
        size: tuple[int, int] | None,
        interpolation: str,
        decode: str,
    ):
        super().__init__(root, split, classes, labels, views, size, interpolation, decode)
        self.filenames = filenames

    @classmethod
    def class_names(cls, root: Path, split: str = "train") -> tuple[str, ...]:
        """The names of the classes of a split in `root`, in the order of their ids."""
        raise NotImplementedError

    def list_digest(self) -> str:
        """A digest of what lists the images, by which a change of it is seen; that of the whole split."""
        raise NotImplementedError

    def read_image(self, index: int) -> np.ndarray:
        """The image of the row's file. Raises UserError, with its name, if it is missing or damaged."""
        return read_image(self.root / self.filenames[index], self.size if self.decode == "fast" else None)

    def take(self, rows: np.ndarray | list[int]) -> FileSplit:
        """A copy that holds these rows of this split alone, in this order."""
        part = super().take(rows)
        part.filenames = [self.filenames[row] for row in rows]
        return part
