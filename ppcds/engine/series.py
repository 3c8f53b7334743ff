"""Runs one after another in this process, to their last epoch: the finished skipped, the begun resumed."""

from __future__ import annotations

import inspect
import json
import signal
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Optional

import paddle

from ppcds.config import Recipe
from ppcds.datasets.build import build_train_views, recipe_classes, settle_colours
from ppcds.engine.checkpoint import read_position
from ppcds.engine.plan import Step
from ppcds.engine.stop import Stopped
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.files import written_whole
from ppcds.methods import METHODS
from ppcds.methods.build import build_method, complete_options
from ppcds.models import build_network
from ppcds.transforms.build import build_view

LEFT_BEHIND = ("best_model.pdparams", "last_model.pdparams", "latest.safetensors")  # by a run, in its folder


def run_series(recipes: list[Recipe]) -> dict[str, str]:
    """Train each recipe in its folder, in this order.

    What can be seen to be wrong with any of them is said before the first is trained. A run that fails all
    the same does not keep the others from being trained: {its run.output_dir: why} is returned.
    Raises Stopped, after saving, on SIGINT or SIGTERM; the same call then goes on from there.
    """
    failed = {}

    def remember(recipe: Recipe, error: Exception) -> None:
        said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        if not isinstance(error, UserError):
            traceback.print_exception(type(error), error, error.__traceback__)
        print(f"{recipe.run.output_dir}: failed: {said}")
        failed[recipe.run.output_dir] = said

    _train_in_turn(recipes, remember)
    return failed


def _train_in_turn(recipes: list[Recipe], on_failure: Callable[[Recipe, Exception], None]) -> None:
    folders = [Path(recipe.run.output_dir) for recipe in recipes]
    for folder in folders:
        if folders.count(folder) > 1:
            raise UserError(f"run.output_dir {folder} is that of two runs: each needs a folder of its own")
    done = [epochs_done(recipe) for recipe in recipes]
    to_come: list[Path] = []  # files of the runs before
    for recipe, folder, epochs in zip(recipes, folders, done):
        if epochs != recipe.optim.epochs:
            check_untrained(recipe, begun=epochs is not None, to_come=to_come)
            to_come += [folder / name for name in LEFT_BEHIND]
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
        except Exception as error:
            on_failure(recipe, error)


def run_chain(steps: Sequence[Step], recipes: list[Recipe]) -> None:
    """`run_series` of a chain's recipes, as plan_chain gives them; it ends with the first run that fails.

    Raises UserError if a run was begun before the one it starts from was finished: its start was another.
    """

    def end(recipe: Recipe, error: Exception) -> None:
        raise error

    for step, before, after in zip(steps[1:], recipes, recipes[1:]):
        if step.starts_from and epochs_done(after) is not None and not is_finished(before):
            raise UserError(
                f"{after.run.output_dir} started from other weights than {before.run.output_dir} will end "
                "with: move it away, or name other folders"
            )
    _train_in_turn(recipes, end)


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
    settle_colours(now)
    epochs = read_position(latest, now).epoch
    if epochs > recipe.optim.epochs:
        raise UserError(
            f"{latest}: has been trained for {epochs} epochs, more than optim.epochs {recipe.optim.epochs}"
        )
    return epochs


def check_untrained(recipe: Recipe, begun: bool = False, to_come: Collection[Path] = ()) -> None:
    """Raise UserError for what is wrong with a run and shows without its images, weights or training.

    begun: the run goes on, and no longer needs what it started from.  to_come: files that earlier runs of the
    series write. Of weights only the existence is looked at: they, and a teacher's method, are not loaded.
    """
    recipe = recipe.model_copy(deep=True)
    complete_options(recipe)
    options = recipe.method.options()
    starts = {} if begun else {"model.pretrained": recipe.model.pretrained}
    starts["method.teacher_weights"] = options.get("teacher_weights")
    coming = {path.resolve() for path in to_come}
    for key, file in starts.items():
        if file and not Path(file).is_file() and Path(file).resolve() not in coming:
            raise UserError(f"{key}: there is no {file}, and no run before {recipe.run.output_dir} makes it")
    method, num_classes = METHODS[recipe.method.name], len(recipe_classes(recipe))
    recipe.model.pretrained = None
    with paddle.LazyGuard():  # layers without weights: neither time nor memory
        if "teacher" in inspect.signature(method).parameters:
            build_network(recipe.model, num_classes, recipe.data.size)
        else:
            method = build_method(recipe, num_classes)  # views_used may follow from an option
    build_train_views(recipe, method.views_used)
    build_view(recipe.views.eval, "views.eval")


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
