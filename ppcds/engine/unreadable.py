"""The images that a run could not read: each is named once, and at the end they are counted."""

from __future__ import annotations

from collections.abc import Callable

from ppcds.datasets.split import ImageSplit
from ppcds.distributed import merged


class Unreadable:
    """Those of these splits and of their parts and copies, whichever rank has met them."""

    def __init__(self, *splits: ImageSplit) -> None:
        self.splits = splits
        self.named: list[dict[int, str]] = [{} for _ in splits]

    def tell(self, say: Callable[[str], None]) -> None:
        """Name those that were met since the last time. Every rank has to call it."""
        for split, named in zip(self.splits, self.named):
            met = merged(split.unreadable)
            for row in sorted(set(met) - set(named)):
                say(f"skipped: {met[row]}")
            named.update(met)

    def count(self, say: Callable[[str], None]) -> None:
        """Say how many were named, if any."""
        counts = [(len(named), split.split) for split, named in zip(self.splits, self.named)]
        total = sum(count for count, _ in counts)
        if total:
            of = " and ".join(f"{count} of {name}" for count, name in counts if count)
            say(f"{total} image{'s' * (total > 1)} could not be read: {of} (data.on_bad_image: skip)")
