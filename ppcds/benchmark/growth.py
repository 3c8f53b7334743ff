"""How time grows: with the images of a data set, with the batch of the loss, with workers and ranks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ppcds.benchmark.input import BATCH, FILES
from ppcds.benchmark.loss import both
from ppcds.benchmark.pictures import write_sports10
from ppcds.benchmark.ranks import Launched
from ppcds.benchmark.timing import Contestant

PANELS = {  # part of the picture -> what its axis counts
    "images": "training images at 72x128",
    "rows": "rows of the loss, 2N (D = 128)",
    "processes": "processes that read or train",
}


def draw_growth(folder: Path, quick: bool) -> None:
    """Write growth.csv (panel, line, count, seconds) and growth.png into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for panel, measure in zip(PANELS, (of_images, of_rows, of_processes)):
        for line, count, seconds in measure(quick):
            rows.append({"panel": panel, "line": line, "count": count, "seconds": round(seconds, 4)})
            print(f"{panel:<12}{line:<36}{count:>8}{seconds:10.3f} s", flush=True)
            pd.DataFrame(rows).to_csv(folder / "growth.csv", index=False)
    _draw(pd.DataFrame(rows), folder / "growth.png")


def of_images(quick: bool) -> Iterator[tuple[str, int, float]]:
    """Packing, and then an epoch with both views from the cache, on all cores."""
    for images in (256, 512) if quick else (1000, 4000, 15000, 60000):
        with tempfile.TemporaryDirectory() as folder:
            root = str(write_sports10(Path(folder) / "Sports10", FILES, images))
            with Contestant("input.py", "packing", root=root) as packing:
                yield "pack once", images, packing.run()
            with Contestant("input.py", "reading", root=root, decode="exact", cache="use") as reading:
                reading.run()
                yield "an epoch from the cache", images, reading.run() * images / BATCH


def of_rows(quick: bool) -> Iterator[tuple[str, int, float]]:
    """The loss with its gradient. The notebook's formula ends where its memory would be some 8 GiB."""
    for rows in (512, 1024) if quick else (512, 1024, 2048, 4096, 8192, 16384, 32768):
        for line, contestant in zip(("the notebook's formula", "ppcds"), both(rows, "seconds")):
            with contestant:
                if line == "ppcds" or rows <= 16384:
                    contestant.run()
                    yield line, rows, contestant.run()


def of_processes(quick: bool) -> Iterator[tuple[str, int, float]]:
    """A batch of 128: read from JPEGs by 1 and 2 workers, trained by 1 and 2 ranks of a thread each."""
    with tempfile.TemporaryDirectory() as folder:
        root = str(write_sports10(Path(folder) / "Sports10", FILES, 4 * BATCH))
        for workers in (1, 2):
            with Contestant("input.py", "reading", root=root, workers=workers) as reading:
                reading.run()
                yield "reading a batch, workers", workers, reading.run()
    for ranks in (1, 2):
        yield "training a batch, ranks", ranks, Launched(ranks, 4 if quick else 16, 3, threads=1).run()


def _draw(table: pd.DataFrame, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(PANELS), figsize=(14, 4), layout="constrained")
    for axis, (panel, label) in zip(axes, PANELS.items()):
        for line, points in table[table.panel == panel].groupby("line", sort=False):
            axis.plot(points["count"], points.seconds, marker="o", label=line)
            first = points.iloc[0]
            power = -1 if panel == "processes" else 1
            linear = first.seconds * (points["count"] / first["count"]) ** power
            axis.plot(points["count"], linear, color="grey", linestyle=":", linewidth=1)
        axis.set(xlabel=label, ylabel="seconds", yscale="log", xscale="log")
        axis.legend()
    axes[2].set_xticks([1, 2], ["1", "2"])
    axes[2].minorticks_off()
    figure.suptitle("Time against size; dotted: in proportion to the first point")
    figure.savefig(path, dpi=120)
    plt.close(figure)
