"""What every split is: images with labels, read one at a time and shown through views."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from paddle.io import Dataset

from ppcds.datasets.images import DECODINGS, INTERPOLATIONS, resize
from ppcds.datasets.packed import PackedImages
from ppcds.errors import UserError
from ppcds.options import did_you_mean
from ppcds.transforms import evaluation_view, notebook_views


class ImageSplit(Dataset):
    """One split of a data set; a subclass says in `read_image` how the image of a row is read.

    root: the data set's folder.  split: its name.  classes: names in the order of their ids.  labels: int64
    [N], -1 for an image without.  views: list of callables from RGB uint8 [H, W, 3] to float32 [3, H, W]; by
    default the notebook's two for split "train" and the evaluation view for all others.  size: (H, W), or
    None for the images' own sizes.  interpolation: of resizing.  decode: "exact", or "fast" where JPEGs may
    be reduced while they are decoded.

    split[i] is (list of one array a view, label). All of these are attributes, and so are `rows`: int64 [N],
    the images' numbers in the whole split, of which `take` leaves a part, and `packed`: None, or the packed
    images of the whole split (see packed.py), which are then read instead of the files.

    on_bad_image: what load_batches does with an image that cannot be read: "error" raises, "replace" takes
    another one for it, "leave out" gives it a label that does not count (see bad_images.py; needs a size).
    unreadable: {number in the whole split: reason} of those it has met, which parts and copies share.
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
        decode: str = "exact",
    ):
        super().__init__()
        for name, value, known in (
            ("interpolation", interpolation, INTERPOLATIONS),
            ("decode", decode, DECODINGS),
        ):
            if value not in known:
                raise UserError(f"unknown {name} {value!r}{did_you_mean(str(value), known)}")
        if views is None:
            views = notebook_views() if split.endswith("train") else [evaluation_view()]
        self.root = Path(root)
        self.split = split
        self.classes = tuple(classes)
        self.labels = labels
        self.rows = np.arange(len(labels))
        self.views = list(views)
        self.size = size
        self.interpolation = interpolation
        self.decode = decode
        self.packed: PackedImages | None = None
        self.on_bad_image = "error"
        self.unreadable: dict[int, str] = {}

    def read_image(self, index: int) -> np.ndarray:
        """The image as it is stored: RGB uint8 [H, W, 3]; smaller, but no smaller than `size`, if fast."""
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
        if self.packed is not None:
            return self.packed.read(self.rows[index])
        image = self.read_image(index)
        return image if self.size is None else resize(image, self.size, self.interpolation)

    def load_images(
        self, indices: list[int], otherwise: Callable[[int, UserError], np.ndarray] | None = None
    ) -> list[np.ndarray] | np.ndarray:
        """The images of these rows before their views; of one shape [H, W, 3] unless size is None.

        otherwise(place, error): gives the image in the place of one that cannot be read; None: it is raised.
        """
        if self.packed is not None:
            return self.packed.read(self.rows[indices], otherwise)
        images = []
        for place, index in enumerate(indices):
            try:
                images.append(self.load_image(index))
            except UserError as error:
                if otherwise is None:
                    raise
                images.append(otherwise(place, error))
        return images

    def __getitem__(self, index: int) -> tuple[list[np.ndarray], int]:
        image = self.load_image(index)
        # a list made last: Paddle's transforms take a tuple for (image, label, ...)
        return [view(image) for view in self.views], int(self.labels[index])
