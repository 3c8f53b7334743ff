"""Ratios of two ways of doing the same, measured in turns, with their spread."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
# What decides how fast Paddle and PyTorch are: a contestant starts without, as in a user's fresh terminal.
SETTINGS = ("OMP_", "MKL_", "KMP_", "MALLOC_", "GLOG_", "FLAGS_")


def fresh_environment() -> dict[str, str]:
    """This process's environment without SETTINGS."""
    return {key: value for key, value in os.environ.items() if not key.startswith(SETTINGS)}


class Contestant:
    """A process of its own that does one piece of work whenever it is asked to, and tells what that took.

    source: a file of this package.  make: its function that prepares the work (from `options`, which have to
    fit into JSON) and returns a function without arguments, which does it once and returns a number.
    """

    def __init__(self, source: str, make: str, cores: Sequence[int] | None = None, **options):
        command = [sys.executable, "-W", "ignore", str(HERE / "contestant.py"), str(HERE / source), make]
        self.command = [*command, json.dumps({"cores": cores, "options": options})]
        environment = {**fresh_environment(), "GLOG_minloglevel": "2"}
        environment["CUDA_VISIBLE_DEVICES"] = ""  # all of them on the processor
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(self.command, env=environment, **pipes)

    def run(self) -> float:
        """What the next piece of work took. Raises RuntimeError if the process ends instead."""
        with contextlib.suppress(BrokenPipeError):
            print("go", file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            if line.startswith("took "):
                return float(line.split()[1])
        raise RuntimeError(f"{' '.join(self.command[3:])} has ended: its message is above")

    def __enter__(self) -> Contestant:
        return self

    def __exit__(self, *_) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@dataclass(frozen=True)
class Measure:
    """How much less `ours` took than `baseline`, both [rounds]: ratio of the medians, and of each round."""

    baseline: Sequence[float]
    ours: Sequence[float]
    of: str  # what was measured, in what unit
    unit: str = "times as fast"

    @property
    def ratio(self) -> float:
        return median(self.baseline) / median(self.ours)

    def spread(self) -> tuple[float, float]:
        """The lowest and the highest ratio of a round."""
        rounds = [one / other for one, other in zip(self.baseline, self.ours)]
        return min(*rounds, self.ratio), max(*rounds, self.ratio)

    def as_json(self) -> dict:
        low, high = self.spread()
        return {"ratio": self.ratio, "low": low, "high": high, "unit": self.unit}


def take_turns(rounds: int, *contestants) -> list[list[float]]:
    """What each took in each round; they work one after the other, so that a slow minute hits all.

    The first turn of each is not counted.
    """
    for contestant in contestants:
        contestant.run()
    table = [[contestant.run() for contestant in contestants] for _ in range(rounds)]
    return [list(column) for column in zip(*table)]


def race(rounds: int, baseline: Contestant, ours: Contestant, of: str) -> Measure:
    """Both in turns; their processes end afterwards."""
    with baseline, ours:
        return Measure(*take_turns(rounds, baseline, ours), of)


def table(section: str, measures: dict[str, Measure]) -> str:
    """The measures of a section as lines of text."""
    lines = [f"{section:<28}{'low':>8}{'median':>8}{'high':>8}  "]
    for name, measure in measures.items():
        low, high = measure.spread()
        took = f"{median(measure.baseline):.4g} against {median(measure.ours):.4g} {measure.of}"
        lines.append(f"  {name:<26}{low:8.2f}{measure.ratio:8.2f}{high:8.2f}  {measure.unit}: {took}")
    return "\n".join(lines)
