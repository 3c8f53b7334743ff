"""What every split is: images with labels, read one at a time and shown through views."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import numpy as np
from paddle.io import Dataset

from ppcds.datasets.images import INTERPOLATIONS, resize
from ppcds.errors import UserError
from ppcds.options import did_you_mean
from ppcds.transforms import evaluation_view, notebook_views


class ImageSplit(Dataset):
    """One split of a data set; a subclass says in `read_image` how the image of a row is read.

    root: the data set's folder.  classes: names in the order of their ids.  labels: int64 [N], -1 for an
    image without.  views: list of callables from RGB uint8 [H, W, 3] to float32 [3, H, W]; by default the
    notebook's two for split "train" and the evaluation view for all others.  size: (H, W), or None for the
    images' own sizes.

    split[i] is (list of one array a view, label). All of these are attributes, and so is `rows`: int64 [N],
    the images' numbers in the whole split, of which `take` leaves a part.
    """

    CLASSES: tuple[str, ...] | None = None  # of a data set that has classes of its own

    def __init__(
        self,
        root: str | os.PathLike,
        split: str,
        classes: tuple[str, ...],
        labels: np.ndarray,
        views: list | None,
        size: tuple[int, int] | None,
        interpolation: str,
    ):
        super().__init__()
        if interpolation not in INTERPOLATIONS:
            near = did_you_mean(str(interpolation), INTERPOLATIONS)
            raise UserError(f"unknown interpolation {interpolation!r}{near}")
        if views is None:
            views = notebook_views() if split == "train" else [evaluation_view()]
        self.root = Path(root)
        self.classes = tuple(classes)
        self.labels = labels
        self.rows = np.arange(len(labels))
        self.views = list(views)
        self.size = size
        self.interpolation = interpolation

    def read_image(self, index: int) -> np.ndarray:
        """The image as it is stored: RGB uint8 [H, W, 3]."""
        raise NotImplementedError

    def take(self, rows: np.ndarray | list[int]) -> ImageSplit:
        """A copy that holds these rows of this split alone, in this order, and shares what it reads from."""
        part = copy.copy(self)
        part.labels, part.rows = self.labels[rows], self.rows[rows]
        return part

    def __len__(self) -> int:
        return len(self.labels)

    def load_image(self, index: int) -> np.ndarray:
        """The image before its views: RGB uint8 [H, W, 3] of the split's size."""
        image = self.read_image(index)
        return image if self.size is None else resize(image, self.size, self.interpolation)

    def load_images(self, indices: list[int]) -> list[np.ndarray]:
        """The images of these rows before their views; of one shape [H, W, 3] unless size is None."""
        return [self.load_image(index) for index in indices]

    def __getitem__(self, index: int) -> tuple[list[np.ndarray], int]:
        image = self.load_image(index)
        # a list made last: Paddle's transforms take a tuple for (image, label, ...)
        return [view(image) for view in self.views], int(self.labels[index])
