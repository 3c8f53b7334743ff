"""The training loop. It does not know which method it runs."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path

from ppcds.config import Recipe
from ppcds.datasets.build import build_eval_split, build_held_back_split, build_train_split
from ppcds.datasets.loader import load_batches, train_batches
from ppcds.distributed import lost_ranks_in_words, num_ranks, once_for_all, rank, read_together
from ppcds.engine.checkpoint import TrainState, load_checkpoint, read_checkpoint, save_checkpoint
from ppcds.engine.checkpoint_files import LATEST, best_until, go_back, keep_epoch
from ppcds.engine.evaluate import Evaluation
from ppcds.engine.frozen import checksums
from ppcds.engine.guards import warnings_about
from ppcds.engine.introduction import introduce, rehearse, show_views
from ppcds.engine.optimizers import build_optimizer
from ppcds.engine.progress import Progress, told_before
from ppcds.engine.recipe_changes import describe_changes
from ppcds.engine.run_folder import RunFolder
from ppcds.engine.run_log import RunLog, SilentLog, open_log
from ppcds.engine.schedules import learning_rate
from ppcds.engine.sharing import describe_sharing, require_same_start, share_batches
from ppcds.engine.step import TrainStep
from ppcds.engine.stop import Stopped, StopRequest
from ppcds.engine.unreadable import Unreadable
from ppcds.errors import UserError
from ppcds.methods.build import build_method
from ppcds.runtime import seed_step
from ppcds.weights import save_weights


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
        self.recipe = recipe
        self.folder = Path(recipe.run.output_dir)
        self.latest = self.folder / LATEST
        self.checkpoint = checkpoint or self.latest
        self.eval_split = build_held_back_split(recipe) if recipe.data.hold_back else build_eval_split(recipe)
        recipe.data.classes = list(self.eval_split.classes)
        seed_step(recipe.run.seed)  # the first weights
        self.method = build_method(recipe, len(self.eval_split.classes), pretrained=not resume)
        self.train_split = build_train_split(recipe, self.method.views_used)
        first_epoch = self._batches(epoch=0)
        self.steps, self.first_rows = len(first_epoch), first_epoch[0]
        share_batches(recipe, self.method, first_epoch)
        self.evaluation = Evaluation(recipe, self.train_split, self.eval_split, self.method.representation)
        classifier = getattr(self.method.deployed(), "fc", None)
        self.optimizer = build_optimizer(
            recipe.optim, self.method.parameters(), classifier.parameters() if classifier else ()
        )
        self.step = TrainStep(recipe, self.method, self.optimizer)
        self.state = TrainState(frozen=checksums(self.method.frozen()), ranks=num_ranks())
        self.resume = resume
        if resume:
            self.state = load_checkpoint(
                self.checkpoint, recipe, self.method, self.optimizer, self.steps, allow_change
            )
            self.changed = describe_changes(read_checkpoint(self.checkpoint)[1], recipe)
            if self.checkpoint != self.latest and not best_until(self.checkpoint):
                self.state.best = TrainState.best  # what was best then is not there any more
            self.step.precision.restore(self.state.scaler)
            self._require_frozen()
        self.unreadable = Unreadable(self.train_split, self.eval_split)
        self.stop = StopRequest()
        self.log: RunLog = SilentLog()  # until the folder is held

    @lost_ranks_in_words()
    def train(self) -> dict[str, float]:
        """Run to the last epoch and return the last row of metrics.csv.

        Raises Stopped, after saving, on SIGINT or SIGTERM, and UserError if a loss is not finite.
        """
        require_same_start(self.method, self.train_split)
        rehearse(self.method, self.train_split, self.eval_split, self.first_rows[:2])
        held = RunFolder(self.folder, self.resume)
        try:
            once_for_all(self._prepare_folder)
            self.log = open_log(self.folder, self._told_before)
            with self.stop, lost_ranks_in_words():
                self._introduce(held.said)
                self._train_epochs()
        except UserError as error:
            self.log.note(f"error: {error}")
            raise
        finally:
            self.log.close()
            held.release()
        return self.state.history[-1]

    def _told_before(self, tag: str, step: int) -> bool:
        """Whether VisualDL has that point of `tag` already, and this run will not tell it again."""
        state = self.state
        return self.resume and told_before(state.epoch, state.step, self.steps)(tag, step)

    def _prepare_folder(self) -> None:
        if self.resume:
            now = read_checkpoint(self.checkpoint)[0]
            if (now.epoch, now.step) != (self.state.epoch, self.state.step):
                raise UserError(f"{self.checkpoint}: another run has gone on with it meanwhile: start again")
        self.recipe.save(self.folder / "recipe.yaml")
        if self.checkpoint != self.latest:
            go_back(self.checkpoint)
        elif self.state.epoch and not self.state.step:  # a kill may have come before its epoch was kept
            self._keep_epoch()

    def _introduce(self, said: str) -> None:
        """The first lines of the log, and the first views.  said: of the folder."""
        if said:
            self.log.say(said)
        introduce(self.log, self.recipe, self.method, self.train_split, self.eval_split)
        if num_ranks() > 1:
            self.log.say(describe_sharing(self.recipe))
        for name, checksum in self.state.frozen.items():
            self.log.say(f"the {name} stays as it is (SHA-256 {checksum[:16]}, checked after each epoch)")
        if self.resume:
            step, epoch = self.state.step, self.state.epoch + 1
            finished = epoch > self.recipe.optim.epochs
            self.log.say(
                "All epochs are done" if finished else f"Going on after step {step} of epoch {epoch}"
            )
            if self.checkpoint != self.latest:
                self.log.say(f"what was done after {self.checkpoint.name} is forgotten")
            for line in self.changed:
                self.log.say(line)
        else:
            show_views(self.log, self.train_split, self.recipe.run.seed, self.first_rows[:16])

    def _train_epochs(self) -> None:
        done = self.state.epoch * self.steps + self.state.step
        self.progress = Progress(self.log, self.recipe, self.steps, done)
        try:
            if self.resume:  # a kill may have come between the checkpoint and this
                once_for_all(lambda: self.log.metrics(self.state.history))
            else:
                self._save()  # from the first step on there is something to resume
            while self.state.epoch < self.recipe.optim.epochs:
                self._train_epoch()
                self._end_epoch()
            self.unreadable.count(self.log.say)
        except Stopped:  # here, where signals are still kept: a launcher repeats its own while this saves
            self._save()
            self.log.say(f"Stopped after step {self.state.step} of epoch {self.state.epoch + 1}.")
            raise

    def _train_epoch(self) -> None:
        """The steps of this epoch that are not yet done."""
        state, seed = self.state, self.recipe.run.seed
        self.method.train()
        batches = self._batches(state.epoch)[state.step :]
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
        self._require_frozen()
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
            self._save_deployed("best_model.pdparams")
        if is_last:  # before the checkpoint that calls the run finished
            self._save_deployed("last_model.pdparams")
        self.progress.epoch_done(row, is_best)  # what is told after a checkpoint, a kill would lose
        self._warn(means)
        self.unreadable.tell(self.log.say)
        state.epoch, state.step, state.sums = state.epoch + 1, 0, {}
        self._save()
        once_for_all(self._keep_epoch)
        once_for_all(lambda: self.log.metrics(state.history))

    def _warn(self, means: dict[str, float]) -> None:
        for warning in warnings_about(means):
            measure = warning.split()[0]
            if measure not in self.state.warned:  # once a run: it would say the same each epoch
                self.state.warned.append(measure)
                self.log.say(f"warning: {warning}")

    def _save(self) -> None:
        self.log.settle()
        self.state.scaler = self.step.precision.state()
        once_for_all(
            lambda: save_checkpoint(self.latest, self.recipe, self.state, self.method, self.optimizer)
        )

    def _keep_epoch(self) -> None:
        keep_epoch(self.folder, self.state.epoch, self.recipe.run.keep_checkpoints)

    def _save_deployed(self, name: str) -> None:
        once_for_all(lambda: save_weights(self.method.deployed().state_dict(), self.folder / name))

    def _batches(self, epoch: int) -> list[list[int]]:
        data = self.recipe.data
        return train_batches(
            self.train_split,
            data.batch_size,
            data.drop_last,
            self.recipe.run.seed,
            epoch,
            data.labelled_per_batch,
        )

    def _require_frozen(self) -> None:
        for name, checksum in checksums(self.method.frozen()).items():
            if checksum != self.state.frozen.get(name):
                raise UserError(
                    f"the {name} is not what it was when the run began, and it must not change: "
                    "is its file another one now?"
                )

    def _require_finite(self, parts: dict[str, float]) -> None:
        if not all(math.isfinite(value) for value in parts.values()):
            shown = ", ".join(f"{name} {value:.4g}" for name, value in parts.items())
            epoch = self.state.epoch
            kept = f"{self.latest} holds the end of epoch {epoch}" if epoch else "no epoch was finished"
            where = f"step {self.state.step + 1} of epoch {epoch + 1}"
            raise UserError(
                f"the loss is not finite in {where} ({shown}): start again with an "
                f"optim.learning_rate below {self.optimizer.get_lr():g}, or look at the images; {kept}"
            )
