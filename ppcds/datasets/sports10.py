"""Sports10: 100,000 frames of 175 video games in ten genres."""

from __future__ import annotations

from ppcds.datasets.csv_split import CSVSplit


class Sports10(CSVSplit):
    """A split of Sports10: `Sports10("data/d/Sports10", split="train")[i]` is ([view 1, view 2], label).

    Arguments, attributes and errors are those of CSVSplit.
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
