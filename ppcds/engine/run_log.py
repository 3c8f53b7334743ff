"""What a run writes as it goes: train.log, metrics.csv and VisualDL."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm
from visualdl import LogWriter

from ppcds.distributed import rank
from ppcds.files import written_whole


class RunLog:
    """Lines on the screen and in train.log, scalars and pictures in vdl/, rows in metrics.csv."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = open(folder / "train.log", "a", encoding="utf-8", buffering=1)  # noqa: SIM115
        self.writer = LogWriter(logdir=str(folder / "vdl"), display_name=folder.name)

    def say(self, line: str) -> None:
        """One line on the screen, above a bar if there is one, and in train.log with the time."""
        tqdm.write(line)
        self.note(line)

    def note(self, line: str) -> None:
        """One line in train.log alone."""
        self.file.write(f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S} {line}\n")

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Values for VisualDL by tag, "train/loss" for instance."""
        for tag, value in values.items():
            self.writer.add_scalar(tag, value, step)

    def picture(self, tag: str, image: np.ndarray) -> None:
        """An image [H, W, 3] uint8 for VisualDL."""
        self.writer.add_image(tag, image, step=0, dataformats="HWC")

    def metrics(self, history: list[dict[str, float]]) -> None:
        """metrics.csv: one row an epoch, and nothing that depends on the clock."""
        if not history:
            return
        with written_whole(self.folder / "metrics.csv") as path:
            pd.DataFrame(history).to_csv(path, index=False)

    def close(self) -> None:
        self.writer.close()
        self.file.close()


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

    def close(self) -> None:
        pass


def open_log(folder: Path) -> RunLog:
    """The log of a run, which one rank writes for all."""
    return SilentLog() if rank() else RunLog(folder)
