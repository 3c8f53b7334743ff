"""Runs one after another in this process, to their last epoch: the finished skipped, the begun resumed."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from ppcds.config import Recipe
from ppcds.engine.checkpoint import read_position
from ppcds.engine.plan import Step
from ppcds.engine.stop import Stopped
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.files import written_whole
from ppcds.methods.build import complete_options


def run_series(recipes: list[Recipe]) -> None:
    """Train each recipe in its folder, in this order.

    What can be seen to be wrong with any of them is said before the first is trained. Raises Stopped, after
    saving, on SIGINT or SIGTERM; the same call then goes on from there.
    """
    folders = [Path(recipe.run.output_dir) for recipe in recipes]
    for folder in folders:
        if folders.count(folder) > 1:
            raise UserError(f"run.output_dir {folder} is that of two runs: each needs a folder of its own")
    done = [epochs_done(recipe) for recipe in recipes]
    for number, (recipe, epochs) in enumerate(zip(recipes, done), start=1):
        run = f"Run {number} of {len(recipes)}, {recipe.run.output_dir}"
        if epochs == recipe.optim.epochs:
            print(f"{run}: finished")
            continue
        print(f"{run}: {'begins' if epochs is None else f'goes on after epoch {epochs}'}")
        try:
            TimedTrainer(recipe, resume=epochs is not None).train()
        except (Stopped, KeyboardInterrupt) as stop:  # the latter between two runs, where nothing is lost
            print(f"Stopped in run {number} of {len(recipes)}: the same command goes on from here.")
            raise stop if isinstance(stop, Stopped) else Stopped(signal.SIGINT) from None


def run_chain(steps: Sequence[Step], recipes: list[Recipe]) -> None:
    """`run_series` of a chain's recipes, as plan_chain gives them.

    Raises UserError if a run was begun before the one it starts from was finished: its start was another.
    """
    for step, before, after in zip(steps[1:], recipes, recipes[1:]):
        if step.starts_from and epochs_done(after) is not None and not is_finished(before):
            raise UserError(
                f"{after.run.output_dir} started from other weights than {before.run.output_dir} will end "
                "with: move it away, or name other folders"
            )
    run_series(recipes)


def is_finished(recipe: Recipe) -> bool:
    """Whether the run in the recipe's folder has come to the recipe's last epoch."""
    return epochs_done(recipe) == recipe.optim.epochs


def epochs_done(recipe: Recipe) -> Optional[int]:
    """Whole epochs behind the run in the recipe's folder, None if none was begun there.

    Raises UserError if the recipe has changed since, or now asks for fewer epochs than were trained.
    """
    latest = Path(recipe.run.output_dir) / "latest.safetensors"
    now = recipe.model_copy(deep=True)
    complete_options(now)
    if not latest.is_file():
        return None
    epochs = read_position(latest, now).epoch
    if epochs > recipe.optim.epochs:
        raise UserError(
            f"{latest}: has been trained for {epochs} epochs, more than optim.epochs {recipe.optim.epochs}"
        )
    return epochs


class TimedTrainer(Trainer):
    """A trainer that keeps in time.json the seconds that led to the latest checkpoint, over all resumes.

    In a file of its own: the checkpoint and metrics.csv are the same however fast they were made.
    """

    def __init__(self, recipe: Recipe, resume: bool = False) -> None:
        self.began = time.perf_counter()
        self.seconds_before = read_seconds(recipe.run.output_dir) if resume else 0.0
        super().__init__(recipe, resume)

    def _save(self) -> None:
        super()._save()
        if self.seconds_before is None:  # the first part of the run was not timed
            return
        seconds = self.seconds_before + time.perf_counter() - self.began
        with written_whole(self.folder / "time.json") as path:
            path.write_text(json.dumps({"seconds": round(seconds, 1)}) + "\n", encoding="utf-8")


def read_seconds(folder: str | Path) -> Optional[float]:
    """Seconds spent on the run in that folder, None if it was not timed from its beginning."""
    path = Path(folder) / "time.json"
    if not path.is_file():
        return None
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["seconds"])
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: no time is written there: remove it") from None
