"""What a run writes as it goes: train.log, metrics.csv and VisualDL."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm
from visualdl import LogWriter

from ppcds.errors import UserError
from ppcds.files import written_whole

try:
    import fcntl
except ImportError:  # Windows: two runs in one folder go unnoticed there
    fcntl = None


class RunFolder:
    """A run's folder, held by this process alone until `release`.

    A fresh run moves an earlier one aside (output/demo -> output/demo.1); `said` is a sentence about that.
    Raises UserError if another run is going on in the folder, or it cannot be made.
    """

    def __init__(self, path: Path, resume: bool) -> None:
        self.said = ""
        try:
            path.mkdir(parents=True, exist_ok=True)
            self.lock = _lock(path)
            if not resume and (path / "latest.safetensors").is_file():
                aside = _free_name(path)
                path.rename(aside)
                self.release()
                path.mkdir()
                self.lock = _lock(path)
                self.said = f"{path} held a run, it is now {aside} (--resume would go on with it)"
        except OSError as error:
            raise UserError(f"run.output_dir {path}: {error.strerror}") from error

    def release(self) -> None:
        os.close(self.lock)


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if fcntl:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UserError(f"another run is going on in {path}: name another run.output_dir") from None
    return descriptor


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    return aside


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
