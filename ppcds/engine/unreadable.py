"""The images that a run could not read: each is named once, and at the end they are counted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ppcds.datasets.split import ImageSplit
from ppcds.distributed import merged


class Unreadable:
    """Those of these splits and of their parts and copies, whichever rank has met them.

    rows: of each split, the numbers of those that were named.  before: such, of earlier parts of the run.
    """

    def __init__(self, *splits: ImageSplit, before: Sequence[Collection[int]] = ()) -> None:
        self.splits = splits
        self.rows: list[list[int]] = [sorted(rows) for rows in before] or [[] for _ in splits]

    def tell(self, say: Callable[[str], None]) -> None:
        """Name those that were met since the last time. Every rank has to call it."""
        for place, split in enumerate(self.splits):
            met = merged(split.unreadable)
            new = sorted(set(met) - set(self.rows[place]))
            for row in new:
                say(f"skipped: {met[row]}")
            self.rows[place] = sorted({*self.rows[place], *new})

    def count(self, say: Callable[[str], None]) -> None:
        """Say how many were named, if any."""
        counts = [(len(rows), split.split) for split, rows in zip(self.splits, self.rows)]
        total = sum(count for count, _ in counts)
        if total:
            of = " and ".join(f"{count} of {name}" for count, name in counts if count)
            say(f"{total} image{'s' * (total > 1)} could not be read: {of} (data.on_bad_image: skip)")
