"""A data set of twelve images that are all in memory, and what a loader makes of batches of them."""

from __future__ import annotations

import numpy as np

from ppcds.datasets.loader import load_batches
from ppcds.errors import UserError
from ppcds.transforms import notebook_views

SHAPE = (8, 12, 3)
BATCHES = [[3, 1, 4], [1, 5, 9], [2, 6, 8], [5, 3, 5], [8, 9, 7], [9, 3, 2], [3, 8], [4, 6, 2], [6], [4, 3]]


class Pictures:
    """Twelve images, seen through the notebook's two views; row 5 is broken if asked for."""

    def __init__(self, broken=False, views=None):
        self.pixels = np.random.RandomState(0).randint(0, 256, (12, *SHAPE), dtype=np.uint8)
        self.labels = np.arange(12)
        self.views = notebook_views() if views is None else views
        self.broken = broken

    def __len__(self):
        return len(self.labels)

    def load_images(self, rows):
        if self.broken and 5 in rows:
            raise UserError("pictures/5.jpg is a truncated JPEG")
        return self.pixels[rows]


def read(batches, workers=0, seed=0, epoch=0, dataset=None, **options):
    loaded = load_batches(dataset or Pictures(), batches, workers, seed, epoch, **options)
    return [([view.numpy() for view in views], labels.numpy()) for views, labels in loaded]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for (views, labels), (others, wanted) in zip(found, expected):
        assert labels.tolist() == wanted.tolist()
        for view, other in zip(views, others):
            np.testing.assert_array_equal(view, other)
