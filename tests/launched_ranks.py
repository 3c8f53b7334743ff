"""Two processes under paddle.distributed.launch on a processor, as a user starts them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parent
SMALL = [
    "data.layout=csv",
    "data.size=[32, 32]",
    "data.batch_size=8",
    "model.width=2",
    "run.log_steps=1",
    "optim.learning_rate=0.001",
]


def launched(log_dir, script, *arguments):
    """The command line of two processes on a processor; each sees one core, as on one that is shared."""
    options = ["--nproc_per_node", "2", "--backend", "gloo", "--log_dir", str(log_dir)]
    return [sys.executable, "-m", "paddle.distributed.launch", *options, str(script), *map(str, arguments)]


def run(command, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=580, env=environment, **options)


def train(root, folder, *arguments):
    """The command line of tools/train.py under two ranks; logs of the launcher go beside the folder."""
    overrides = [*SMALL, f"data.root={root}", f"run.output_dir={folder}", "optim.epochs=3"]
    given = [part for override in overrides for part in ("-o", override)]
    script = TESTS.parent / "tools" / "train.py"
    return launched(folder.with_suffix(".log"), script, "-c", "demo", *given, *arguments)


def process_ids(launcher) -> dict[int, int]:
    """{rank: process} of a launched run of two, from what it prints."""
    found = {}
    for line in launcher.stdout:
        told = re.match(r"launch proc_id:(\d+) idx:(\d)", line)
        if told:
            found[int(told[2])] = int(told[1])
        if len(found) == 2:
            break
    return found


def wait_for(log, line):
    until = time.monotonic() + 120
    while not (log.is_file() and line in log.read_text()):
        assert time.monotonic() < until, f"{line!r} never came"
        time.sleep(0.02)
