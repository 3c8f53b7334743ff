"""Ranks: two processes that share a batch against one that has it alone, on as many cores.

As a script, in each of the processes: ranks.py RESULT BATCH WIDTH STEPS
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from ppcds.benchmark.timing import Measure, fresh_environment

BATCH, SIZE = 128, (36, 64)


class Launched:
    """A short run of `ranks` processes; what it takes is the median of its steps."""

    def __init__(self, ranks: int, width: int, steps: int, threads: int):
        self.ranks, self.threads = ranks, threads
        self.arguments = [str(number) for number in (BATCH, width, steps)]

    def run(self) -> float:
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder) / "seconds"
            script = [str(Path(__file__)), str(result), *self.arguments]
            launcher = ["-m", "paddle.distributed.launch", "--log_dir", folder]
            launcher += ["--backend", "gloo", "--nproc_per_node", str(self.ranks)]
            command = [sys.executable, "-W", "ignore", *(launcher if self.ranks > 1 else []), *script]
            done = subprocess.run(command, env=self.environment(), capture_output=True, text=True)
            if not result.is_file():
                raise RuntimeError(f"{' '.join(command)} has failed:\n{done.stdout}{done.stderr}")
            return float(result.read_text())

    def environment(self) -> dict[str, str]:
        return {**fresh_environment(), "OMP_NUM_THREADS": str(self.threads)}


def measure(quick: bool) -> dict[str, Measure]:
    width, steps, rounds = (4, 3, 1) if quick else (16, 8, 3)
    setups = {"one_thread": (1, 1), "two_threads": (1, 2), "two_ranks": (2, 1)}  # processes, threads of each
    took = {name: [] for name in setups}
    for _ in range(rounds):
        for name, (ranks, threads) in setups.items():
            took[name].append(Launched(ranks, width, steps, threads).run())
    of = f"s a step of {BATCH} images at 36x64, width {width}"
    return {
        "two_ranks_vs_one": Measure(took["one_thread"], took["two_ranks"], f"{of}, a thread each"),
        "two_ranks_vs_two_threads": Measure(took["two_threads"], took["two_ranks"], of),
    }


def train(result: str, batch: str, width: str, steps: str) -> None:
    """Steps on the processor; the first rank writes the median of their seconds."""
    from ppcds.benchmark.step import prepared_step
    from ppcds.distributed import join_ranks, num_ranks, rank

    step, paddle = prepared_step(int(width), SIZE, int(batch), None, join_ranks)
    rows = int(batch) // num_ranks()
    views = [paddle.randn([rows, 3, *SIZE]) for _ in range(2)]
    took = []
    for _ in range(int(steps) + 1):
        start = time.perf_counter()
        step(views, paddle.arange(rows) % 10, lambda parts: None)
        took.append(time.perf_counter() - start)
    if rank() == 0:
        Path(result).write_text(str(median(took[1:])))


if __name__ == "__main__":
    train(*sys.argv[1:])
