"""The training loop. It does not know which method it runs."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path

from ppcds.config import Recipe
from ppcds.datasets.loader import load_batches
from ppcds.distributed import lost_ranks_in_words, num_ranks, rank, read_together
from ppcds.engine.checkpoint_files import LATEST
from ppcds.engine.frozen import require_unchanged
from ppcds.engine.introduction import rehearse
from ppcds.engine.parts import Parts
from ppcds.engine.progress import Progress
from ppcds.engine.record import RunRecord
from ppcds.engine.schedules import learning_rate
from ppcds.engine.sharing import require_same_start
from ppcds.engine.stop import Stopped, StopRequest
from ppcds.errors import UserError
from ppcds.runtime import seed_step


class Trainer:
    """A recipe's run in its folder: `Trainer(recipe, resume).train()`.

    What can be wrong with recipe, tables or weights is found before the folder is touched; a broken image
    when it is read.
    """

    def __init__(
        self,
        recipe: Recipe,
        resume: bool = False,
        checkpoint: Path | None = None,
        allow_change: Collection[str] = (),
    ) -> None:
        """checkpoint: of the run's folder, to go on from instead of the latest.

        allow_change: keys of the recipe that may have changed, see recipe_changes.
        """
        self.recipe, self.resume = recipe, resume
        self.folder = Path(recipe.run.output_dir)
        before = (checkpoint or self.folder / LATEST) if resume else None
        self.parts = parts = Parts(recipe, before, allow_change)
        self.train_split, self.eval_split = parts.train_split, parts.eval_split
        self.evaluation = parts.evaluation
        self.method, self.optimizer, self.step = parts.method, parts.optimizer, parts.step
        self.state, self.steps = parts.state, parts.steps
        self.record = RunRecord(recipe, parts, before)
        self.stop = StopRequest()

    @lost_ranks_in_words()
    def train(self) -> dict[str, float]:
        """Run to the last epoch and return the last row of metrics.csv.

        Raises Stopped, after saving, on SIGINT or SIGTERM, and UserError if a loss is not finite.
        """
        require_same_start(self.method, self.train_split)
        rehearse(self.method, self.train_split, self.eval_split, self.parts.first_rows[:2])
        with self.record.held(), self.stop, lost_ranks_in_words():
            self.record.introduce()
            self._train_epochs()
        return self.state.history[-1]

    def _train_epochs(self) -> None:
        done = self.state.epoch * self.steps + self.state.step
        self.progress = Progress(self.record.log, self.recipe, self.steps, done)
        try:
            if self.resume:  # a kill may have come between the checkpoint and this
                self.record.metrics()
            else:
                self._save()  # from the first step on there is something to resume
            while self.state.epoch < self.recipe.optim.epochs:
                self._train_epoch()
                self._end_epoch()
            self.record.unreadable.count(self.record.log.say)
        except Stopped:  # here, where signals are still kept: a launcher repeats its own while this saves
            self._save()
            self.record.log.say(f"Stopped after step {self.state.step} of epoch {self.state.epoch + 1}.")
            raise

    def _train_epoch(self) -> None:
        """The steps of this epoch that are not yet done."""
        state, seed = self.state, self.recipe.run.seed
        self.method.train()
        batches = self.parts.batches(state.epoch)[state.step :]
        workers, at = self.recipe.data.num_workers, (state.epoch, state.step)
        loader = load_batches(self.train_split, batches, workers, seed, *at, rank(), num_ranks())
        with self.progress.epoch_bar(state.epoch, state.step):
            for views, labels in self._read(loader):
                self.progress.clock.batch_read()
                seed_step(seed, state.epoch, state.step)
                place = state.epoch + state.step / self.steps  # in epochs
                rate = learning_rate(self.recipe.optim, place)
                self.optimizer.set_lr(rate)
                self.method.progress = place / self.recipe.optim.epochs
                parts, notes = self.step(views, labels, self._require_finite)
                state.step += 1
                images = len(labels) * num_ranks()
                state.images_seen += images * (self.method.views_made or len(views))
                sums = [(f"train_{name}", value) for name, value in parts.items()]
                sums += [(f"noted_{name}", value) for name, value in notes.items()]
                for name, value in sums:
                    state.sums[name] = state.sums.get(name, 0.0) + value
                self.progress.step_done(state.epoch, state.step, images, parts, notes, rate)
                self.stop.check()

    def _read(self, loader: Iterator) -> Iterator:
        """The batches; what cannot be read ends the run after saving, so that it goes on from here."""
        try:
            yield from read_together(loader)
        except UserError as error:
            try:
                self._save()
            except UserError as unsaved:
                raise UserError(f"{error}; and {unsaved}") from error
            where = f"step {self.state.step} of epoch {self.state.epoch + 1}"
            raise UserError(f"{error} (saved after {where}: --resume {self.folder} goes on)") from error

    def _end_epoch(self) -> None:
        """Evaluate, keep the best network, and save; before the evaluation too, lest it lose the epoch."""
        self._save()
        require_unchanged(self.method.frozen(), self.state.frozen)
        state, run = self.state, self.recipe.run
        row = {
            "epoch": state.epoch + 1,
            "learning_rate": learning_rate(self.recipe.optim, state.epoch + (self.steps - 1) / self.steps),
            "images_seen": state.images_seen,
        }
        means = {name: value / self.steps for name, value in state.sums.items()}
        row.update(means)
        is_best, is_last = False, state.epoch + 1 == self.recipe.optim.epochs
        if is_last or (state.epoch + 1) % run.evaluate_every == 0:
            row.update(self.evaluation.measure(self.method.deployed(), state.epoch, self.stop.check))
            is_best = row.get(run.best_by, math.inf) > state.best  # where nothing can be measured: the last
        state.history.append(row)
        if is_best:
            state.best = row.get(run.best_by, state.best)
            self.record.save_deployed("best_model.pdparams")
        if is_last:  # before the checkpoint that calls the run finished
            self.record.save_deployed("last_model.pdparams")
        self.progress.epoch_done(row, is_best)  # what is told after a checkpoint, a kill would lose
        self.record.warn(means)
        state.epoch, state.step, state.sums = state.epoch + 1, 0, {}
        self._save()
        self.record.epoch_saved()

    def _save(self) -> None:
        self.state.scaler = self.step.precision.state()
        self.record.save()

    def _require_finite(self, parts: dict[str, float]) -> None:
        if not all(math.isfinite(value) for value in parts.values()):
            shown = ", ".join(f"{name} {value:.4g}" for name, value in parts.items())
            epoch = self.state.epoch
            latest = self.folder / LATEST
            kept = f"{latest} holds the end of epoch {epoch}" if epoch else "no epoch was finished"
            where = f"step {self.state.step + 1} of epoch {epoch + 1}"
            raise UserError(
                f"the loss is not finite in {where} ({shown}): start again with an "
                f"optim.learning_rate below {self.optimizer.get_lr():g}, or look at the images; {kept}"
            )
