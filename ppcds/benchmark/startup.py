"""Start-up: a command's help and its refusal of a wrong argument, against loading Paddle."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from ppcds.benchmark.timing import Measure, take_turns

TRAIN = Path(__file__).parents[2] / "tools" / "train.py"
WRONG = {
    "help": ["--help"],
    "unknown_recipe": ["-c", "sport"],
    "unknown_key": ["-o", "optim.epoch=3"],
    "bad_value": ["-o", "optim.epochs=many"],
}


class Command:
    """A command, whose work is to start and end; it takes processor time, which no neighbour changes."""

    def __init__(self, *arguments: str):
        self.arguments = [sys.executable, *arguments]

    def run(self) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(self.arguments, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(quick: bool) -> dict[str, Measure]:
    commands = {name: Command(str(TRAIN), *arguments) for name, arguments in WRONG.items()}
    took = take_turns(2 if quick else 7, Command("-c", "import paddle"), *commands.values())
    of = "processor seconds, `import paddle` against tools/train.py"
    return {name: Measure(took[0], seconds, of) for name, seconds in zip(commands, took[1:])}
