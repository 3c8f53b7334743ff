"""What a run tells: train.log, metrics.csv, VisualDL and the progress bar."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm
from visualdl import LogWriter

from ppcds.files import written_whole


def start_folder(folder: Path, resume: bool) -> str:
    """Make the run folder. A fresh run moves an earlier one aside (output/demo -> output/demo.1).

    Returns a sentence about that, or "".
    """
    said = ""
    if not resume and (folder / "latest.safetensors").is_file():
        number = 1
        while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
            number += 1
        folder.rename(aside)
        said = f"{folder} held a run, it is now {aside} (--resume would go on with it)"
    folder.mkdir(parents=True, exist_ok=True)
    return said


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


class StepClock:
    """Seconds spent waiting for batches and in whole steps since the last report, and the time to go.

    The last batch's images over its whole step is the speed; both costs are means since the last report.
    """

    def __init__(self, steps_to_go: int) -> None:
        self.steps_to_go, self.steps_done = steps_to_go, 0
        self.began = self.step_began = time.perf_counter()
        self.forget()

    def forget(self) -> None:
        """Start the means anew."""
        self.reader = self.batch = 0.0
        self.steps = self.images = 0

    def batch_read(self) -> None:
        self.reader += time.perf_counter() - self.step_began

    def step_done(self, images: int) -> None:
        now = time.perf_counter()
        self.batch += now - self.step_began
        self.step_began = now
        self.steps += 1
        self.steps_done += 1
        self.images += images

    def resting(self) -> None:
        """What passed since the last step (an evaluation) belongs to none; the time to go keeps it."""
        self.step_began = time.perf_counter()

    @property
    def images_per_second(self) -> float:
        return self.images / max(self.batch, 1e-9)

    def report(self) -> str:
        """reader_cost, batch_cost, images/s and the time to go."""
        mean_step = (self.step_began - self.began) / max(self.steps_done, 1)
        eta = datetime.timedelta(seconds=round(mean_step * (self.steps_to_go - self.steps_done)))
        return (
            f"reader_cost {self.reader / max(self.steps, 1):.3f} s batch_cost "
            f"{self.batch / max(self.steps, 1):.3f} s {self.images_per_second:.0f} images/s eta {eta}"
        )
