"""Input: batches with both views ready as float tensors, from JPEGs and from the packed cache."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from ppcds.benchmark.pictures import write_sports10
from ppcds.benchmark.timing import Contestant, Measure, race

SIZE, BATCH, FILES = (72, 128), 128, 64


def measure(quick: bool) -> dict[str, Measure]:
    """One core for all but the two workers."""
    rounds = 3 if quick else 9
    of = f"s a batch of {BATCH}, one core"
    with tempfile.TemporaryDirectory() as folder:
        root = str(write_sports10(Path(folder) / "Sports10", FILES, 8 * BATCH))

        def against_notebook(**options) -> Measure:
            theirs = Contestant("notebook.py", "reading", cores=[0], root=root, batch=BATCH)
            ours = Contestant("input.py", "reading", cores=[0], root=root, **options)
            return race(rounds, theirs, ours, of)

        return {
            "first_pass_vs_notebook": against_notebook(decode="fast", cache="ignore"),
            "first_pass_exact_vs_notebook": against_notebook(decode="exact", cache="ignore"),
            "cached_vs_notebook": against_notebook(decode="exact", cache="build"),
            "two_workers_vs_one": race(
                max(2, rounds // 2),
                *(
                    Contestant("input.py", "reading", root=root, workers=n, epochs=1 if quick else 3)
                    for n in (1, 2)
                ),
                f"s a batch of {BATCH} from JPEGs, exact",
            ),
        }


def reading(root: str, decode: str = "exact", cache: str = "ignore", workers: int = 0, epochs: int = 1):
    """A function that reads batches as a run does, and tells the seconds a batch.

    epochs: so many of this small data set on end, since an epoch of a real one is long beside its beginning.
    """
    split = train_split(root, decode, cache)
    from ppcds.datasets.loader import load_batches, train_batches

    epoch = 0

    def work() -> float:
        nonlocal epoch
        epoch += 1
        batches = train_batches(split, BATCH, True, 0, epoch) * epochs
        start = time.perf_counter()
        for views, _ in load_batches(split, batches, workers, 0, epoch):
            float(views[1][0, 0, 0, 0])
        return (time.perf_counter() - start) / len(batches)

    return work


def packing(root: str):
    """A function that packs the images, once, and tells the seconds."""

    def work() -> float:
        start = time.perf_counter()
        train_split(root, "exact", "build")
        return time.perf_counter() - start

    train_split(root, "exact", "ignore")  # loads all that is needed
    return work


def train_split(root: str, decode: str, cache: str):
    """The training split of recipe sports10 over this data."""
    from ppcds.config import load_recipe
    from ppcds.runtime import load_paddle, prepare_processor

    prepare_processor(1)
    load_paddle()
    from ppcds.datasets.build import build_train_split

    keys = [f"data.root={root}", f"data.size={list(SIZE)}", f"data.decode={decode}", f"data.cache={cache}"]
    return build_train_split(load_recipe("sports10", keys), views_used=2)
