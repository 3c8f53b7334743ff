"""What a run tells while it goes: the bar, a line every few steps and an epoch, VisualDL's scalars."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable

from tqdm import tqdm

from ppcds.config import Recipe
from ppcds.distributed import rank
from ppcds.engine.run_log import RunLog


class Progress:
    """Tells of the steps and epochs of a run of `steps` batches an epoch, `done` of which are behind it."""

    def __init__(self, log: RunLog, recipe: Recipe, steps: int, done: int) -> None:
        self.log, self.recipe, self.steps = log, recipe, steps
        self.epochs = recipe.optim.epochs
        self.clock = StepClock(self.epochs * steps - done)

    def epoch_bar(self, epoch: int, step: int) -> tqdm:
        """The bar of an epoch from its `step` on; none off a terminal and on later ranks."""
        self.clock.resting()
        label = f"epoch {epoch + 1}/{self.epochs}"
        layout = "{desc} {bar:8} {n_fmt}/{total_fmt}{postfix}"  # room for the losses
        options = {"bar_format": layout, "leave": False, "disable": rank() > 0 or None, "dynamic_ncols": True}
        self.bar = tqdm(total=self.steps, initial=step, desc=label, **options)
        return self.bar

    def step_done(
        self,
        epoch: int,
        step: int,
        images: int,
        parts: dict[str, float],
        notes: dict[str, float],
        rate: float,
    ) -> None:
        """Tell of a step: on the bar always, in the log and in VisualDL every run.log_steps steps.

        images: of all ranks.  parts: losses.  notes: what else was measured, for log and VisualDL alone.
        """
        self.clock.step_done(images)
        loss = f"loss {parts['loss']:.4f}"
        terms = " ".join(f"{name} {value:.4f}" for name, value in parts.items() if name != "loss")
        costs = self.clock.report()
        self._show(f"{loss} lr {rate:g} {costs} {terms}")  # terms last: a narrow terminal cuts the end
        if step % self.recipe.run.log_steps and step != self.steps:
            return
        line = f"epoch {epoch + 1}/{self.epochs} step {step}/{self.steps} lr {rate:g} {loss} {terms} {costs}"
        line += "".join(f" {name} {value:.4g}" for name, value in notes.items() if not _is_level(name))
        (self.log.say if self.bar.disable else self.log.note)(line)
        scalars = {f"train/{name}": value for name, value in parts.items()}
        scalars.update({f"noted/{name}": value for name, value in notes.items()})
        scalars.update({"train/learning_rate": rate, "train/images_per_second": self.clock.images_per_second})
        self.log.scalars(epoch * self.steps + step, scalars)
        self.clock.forget()

    def _show(self, shown: str) -> None:
        try:
            self.bar.update()
            self.bar.set_postfix_str(shown, refresh=False)
        except OSError:  # the terminal has gone
            self.bar.disable = True

    def epoch_done(self, row: dict[str, float], is_best: bool) -> None:
        """Tell of an epoch: its loss and accuracies, `row` as in metrics.csv; VisualDL has eval_loss too."""
        told = {name: value for name, value in row.items() if name == "train_loss" or "accuracy" in name}
        shown = " ".join(f"{name.removeprefix('noted_')} {value:.4f}" for name, value in told.items())
        best = " (best so far)" if is_best else ""
        self.log.say(f"epoch {row['epoch']}/{self.epochs} {shown}{best}")
        # what was noted of its steps VisualDL has already
        measured = [name for name in row if name == "train_accuracy" or name.startswith("eval_")]
        tags = {name.replace("_", "/", 1): row[name] for name in measured}  # eval/accuracy
        self.log.scalars(row["epoch"] * self.steps, tags)


def told_before(epoch: int, done: int, steps: int) -> Callable[[str, int], bool]:
    """Of VisualDL's (tag, step): whether a run of `steps` batches an epoch has told it, and will not again.

    That is behind it after `epoch` epochs and `done` steps of the next, which may still have to be evaluated.
    """

    def told(tag: str, step: int) -> bool:
        of_epoch = tag == "train/accuracy" or tag.startswith("eval/")
        return step <= epoch * steps + (0 if of_epoch else done)

    return told


def _is_level(name: str) -> bool:
    """Chance and lowest levels hardly change: VisualDL and metrics.csv have them, a line has no room."""
    return name.endswith(("_chance", "_lowest"))


class StepClock:
    """Mean seconds of waiting for a batch and of a whole step, and images/s, since the means were begun anew.

    Also the time to go, from all steps so far and what passed between them.
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
