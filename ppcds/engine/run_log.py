"""What a run writes as it goes: train.log, metrics.csv and VisualDL."""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ppcds.distributed import rank
from ppcds.engine.curves import Curves, Kept
from ppcds.files import write_whole


class RunLog:
    """Lines on the screen and in train.log, scalars and pictures in vdl/, rows in metrics.csv.

    keep: see Curves.  A screen, a train.log or a VisualDL that fails is told of once, and the run goes on.
    """

    def __init__(self, folder: Path, keep: Kept = lambda tag, step: False) -> None:
        self.folder, self.unwritten = folder, False
        self.curves = Curves(folder / "vdl", folder.name, keep, self.say)

    def say(self, line: str) -> None:
        """One line on the screen, above a bar if there is one, and in train.log with the time."""
        _show(line)
        self.note(line)

    def note(self, line: str) -> None:
        """One line in train.log alone."""
        path = self.folder / "train.log"
        try:
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S} {line}\n")
        except OSError as error:
            if not self.unwritten:
                _show(f"warning: cannot write {path}: {error.strerror}; its lines are lost")
            self.unwritten = True

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Values for VisualDL by tag, "train/loss" for instance."""
        self.curves.scalars(step, values)

    def picture(self, tag: str, image: np.ndarray) -> None:
        """An image [H, W, 3] uint8 for VisualDL."""
        self.curves.picture(tag, image)

    def settle(self) -> None:
        """Wait until VisualDL has written what it was given."""
        self.curves.settle()

    def metrics(self, history: list[dict[str, float]]) -> None:
        """metrics.csv: one row an epoch, and nothing that depends on the clock."""
        if not history:
            return
        write_whole(self.folder / "metrics.csv", pd.DataFrame(history).to_csv(index=False).encode())

    def close(self) -> None:
        self.curves.close()


class SilentLog(RunLog):
    """Of every rank but the first: it leaves the telling to that one."""

    def __init__(self) -> None:
        pass

    def say(self, line: str) -> None:
        pass

    note = say

    def scalars(self, step: int, values: dict[str, float]) -> None:
        pass

    def picture(self, tag: str, image: np.ndarray) -> None:
        pass

    def metrics(self, history: list[dict[str, float]]) -> None:
        pass

    def settle(self) -> None:
        pass

    close = settle


def open_log(folder: Path, keep: Kept) -> RunLog:
    """The log of a run, which one rank writes for all."""
    return SilentLog() if rank() else RunLog(folder, keep)


def _show(line: str) -> None:
    """One line on the screen. Where nobody reads it any more (`| head`) what follows goes nowhere."""
    try:
        tqdm.write(line)
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):  # a closed pipe, a closed stream, none from the beginning
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
