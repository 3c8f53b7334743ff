"""How long one batch takes in each runtime, measured in turns."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np

from ppcds.benchmark.timing import take_turns
from ppcds.export.runtimes import Model

SECONDS = 10.0  # for all turns of one batch size, as far as FEWEST allow
FEWEST, MOST = 5, 50  # rounds


class _Timed:
    def __init__(self, model: Model, images: np.ndarray) -> None:
        self.model, self.images = model, images

    def run(self) -> float:
        """Milliseconds."""
        start = time.perf_counter()
        self.model(self.images)
        return 1000 * (time.perf_counter() - start)


def measure_latency(models: Mapping[str, Model], shape: Sequence[int], batch: int) -> dict[str, np.ndarray]:
    """Milliseconds [rounds] that each model takes for a batch of images of `shape` (3, H, W)."""
    images = np.random.RandomState(0).standard_normal((batch, *shape)).astype(np.float32)
    timed = [_Timed(model, images) for model in models.values()]
    one_round = sum(column[0] for column in take_turns(1, *timed))
    rounds = int(np.clip(1000 * SECONDS / one_round, FEWEST, MOST))
    return dict(zip(models, map(np.array, take_turns(rounds, *timed))))


def latency_table(measured: Mapping[int, Mapping[str, np.ndarray]], about: str) -> str:
    """Lines of text: a row a batch size, a column a model: median (10th to 90th percentile)."""
    names = list(next(iter(measured.values())))
    lines = [f"milliseconds a batch, median (10th to 90th percentile): {about}"]
    lines.append(f"{'batch':>5}" + "".join(f"{name:>26}" for name in names))
    for batch, took in measured.items():
        cells = []
        for times in took.values():
            low, middle, high = np.percentile(times, [10, 50, 90])
            cells.append(f"{f'{middle:.2f} ({low:.2f} to {high:.2f})':>26}")
        lines.append(f"{batch:>5}" + "".join(cells))
    return "\n".join(lines)
