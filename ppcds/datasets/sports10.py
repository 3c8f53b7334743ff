"""Sports10: 100,000 frames of 175 video games in ten genres."""

from __future__ import annotations

import os

from ppcds.datasets.csv_split import CSVSplit


class Sports10(CSVSplit):
    """A split of Sports10: `Sports10("data/d/Sports10", split="train")[i]` is ([view 1, view 2], label).

    Arguments, attributes and errors are those of CSVSplit; the ten classes are fixed.
    """

    CLASSES = (
        "AmericanFootball",
        "Basketball",
        "BikeRacing",
        "CarRacing",
        "Fighting",
        "Hockey",
        "Soccer",
        "TableTennis",
        "Tennis",
        "Volleyball",
    )

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        views: list | None = None,
        size: tuple[int, int] | None = (72, 128),
        interpolation: str = "bilinear",
    ):
        super().__init__(root, split, views, size, interpolation, classes=self.CLASSES)
