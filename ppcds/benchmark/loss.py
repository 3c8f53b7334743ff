"""The contrastive loss at a large batch: time and memory, forward and backward."""

from __future__ import annotations

from ppcds.benchmark.timing import Contestant, Measure, race

ROWS, DIMS = 16384, 128


def measure(quick: bool) -> dict[str, Measure]:
    rows, rounds = (4096, 1) if quick else (ROWS, 3)
    shape = f"2N = {rows}, D = {DIMS}"
    time = race(rounds, *both(rows, "seconds"), f"s, {shape}")
    memory = [[peak_memory(way, rows) for _ in range(rounds)] for way in ("notebook.py", "loss.py")]
    return {
        "memory_saving": Measure(*memory, f"MiB at the peak, {shape}", "times less memory"),
        "speedup": time,
    }


def both(rows: int, what: str) -> list[Contestant]:
    """The notebook's formula and ours."""
    return [
        Contestant(way, "contrasting", rows=rows, dims=DIMS, what=what) for way in ("notebook.py", "loss.py")
    ]


def peak_memory(way: str, rows: int) -> float:
    """MiB above what the process held before; in a process of its own, as a peak can only be seen once."""
    with Contestant(way, "contrasting", rows=rows, dims=DIMS, what="MiB") as contestant:
        return contestant.run()


def contrasting(rows: int, dims: int, what: str):
    """As the function of this name in notebook.py, with ppcds's loss."""
    from ppcds.runtime import load_paddle

    load_paddle()
    from ppcds.benchmark.notebook import measured
    from ppcds.losses import SupConLoss

    return measured(SupConLoss(), rows, dims, what)
