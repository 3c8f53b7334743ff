"""The training loop. It does not know which method it runs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import paddle

from ppcds.config import Recipe
from ppcds.datasets.build import build_eval_split, build_train_split
from ppcds.datasets.loader import SeededExamples, load_batches, train_batches
from ppcds.engine.checkpoint import TrainState, load_checkpoint, save_checkpoint
from ppcds.engine.evaluate import Evaluation
from ppcds.engine.optimizers import build_optimizer, build_schedule
from ppcds.engine.progress import Progress
from ppcds.engine.run_folder import RunFolder
from ppcds.engine.run_log import RunLog
from ppcds.engine.stop import Stopped, StopRequest
from ppcds.errors import UserError
from ppcds.methods import build_method
from ppcds.runtime import describe_processor, seed_step
from ppcds.transforms.grid import view_grid
from ppcds.weights import save_weights


class Trainer:
    """A recipe's run in its folder: `Trainer(recipe, resume).train()`.

    What can be wrong with recipe, tables or weights is found before the folder is touched; a broken image
    when it is read.
    """

    def __init__(self, recipe: Recipe, resume: bool = False) -> None:
        self.recipe = recipe
        self.folder = Path(recipe.run.output_dir)
        self.latest = self.folder / "latest.safetensors"
        self.eval_split = build_eval_split(recipe)
        recipe.data.classes = list(self.eval_split.classes)
        seed_step(recipe.run.seed)  # the first weights
        self.method = build_method(recipe, len(self.eval_split.classes))
        self.train_split = build_train_split(recipe, self.method.views_used)
        self.steps = len(self._batches(epoch=0))
        self.evaluation = Evaluation(recipe, self.train_split, self.eval_split)
        self.schedule = build_schedule(recipe.optim)
        self.optimizer = build_optimizer(recipe.optim, self.schedule, self.method.parameters())
        self.state = TrainState()
        self.resume = resume
        if resume:
            self.state = load_checkpoint(self.latest, recipe, self.method, self.optimizer)
        self.stop = StopRequest()
        self.log: RunLog | None = None

    def train(self) -> dict[str, float]:
        """Run to the last epoch and return the last row of metrics.csv.

        Raises Stopped, after saving, on SIGINT or SIGTERM, and UserError if a loss is not finite.
        """
        self._rehearse()
        held = RunFolder(self.folder, self.resume)
        self.recipe.save(self.folder / "recipe.yaml")
        self.log = RunLog(self.folder)
        self._introduce(held.said)
        epochs = self.recipe.optim.epochs
        done = self.state.epoch * self.steps + self.state.step
        self.progress = Progress(self.log, self.recipe, self.steps, done)
        try:
            with self.stop:
                if not self.resume:
                    self._save()  # from the first step on there is something to resume
                while self.state.epoch < epochs:
                    self._train_epoch()
                    self._end_epoch()
        except Stopped:
            self._save()
            self.log.say(f"Stopped after step {self.state.step} of epoch {self.state.epoch + 1}.")
            raise
        except UserError as error:
            self.log.note(f"error: {error}")
            raise
        finally:
            self.log.metrics(self.state.history)
            self.log.close()
            held.release()
        return self.state.history[-1]

    def _train_epoch(self) -> None:
        """The steps of this epoch that are not yet done."""
        state, seed = self.state, self.recipe.run.seed
        self.schedule.step(state.epoch)
        self.method.train()
        batches = self._batches(state.epoch)[state.step :]
        workers = self.recipe.data.num_workers
        loader = load_batches(self.train_split, batches, workers, seed, state.epoch)
        with self.progress.epoch_bar(state.epoch, state.step):
            for views, labels in loader:
                self.progress.clock.batch_read()
                seed_step(seed, state.epoch, state.step)
                losses = self.method(views, labels)
                parts = dict(zip(losses, paddle.stack([*losses.values()]).tolist()))
                self._require_finite(parts)
                losses["loss"].backward()
                self.optimizer.step()
                self.optimizer.clear_grad()
                self.method.after_step()
                state.step += 1
                for name, value in parts.items():
                    state.sums[name] = state.sums.get(name, 0.0) + value
                rate = self.optimizer.get_lr()
                self.progress.step_done(state.epoch, state.step, len(labels), parts, rate)
                self.stop.check()

    def _end_epoch(self) -> None:
        """Evaluate, keep the best network, and save; before the evaluation too, lest it lose the epoch."""
        self._save()
        state = self.state
        network = self.method.deployed()
        row = {"epoch": state.epoch + 1, "learning_rate": self.optimizer.get_lr()}
        row.update({f"train_{name}": value / self.steps for name, value in state.sums.items()})
        row.update(self.evaluation.measure(network, state.epoch, self.stop.check))
        state.history.append(row)
        score = row[self.recipe.run.best_by]
        is_best = score > state.best
        if is_best:
            state.best = score
            save_weights(network.state_dict(), self.folder / "best_model.pdparams")
        state.epoch, state.step, state.sums = state.epoch + 1, 0, {}
        self._save()
        self.log.metrics(state.history)
        self.progress.epoch_done(row, is_best)

    def _save(self) -> None:
        save_checkpoint(self.latest, self.recipe, self.state, self.method, self.optimizer)

    def _rehearse(self) -> None:
        """One batch through the network, trained on nothing, so that what cannot work fails before it began.

        In evaluation mode without gradients, so that it leaves no trace in the weights.
        """
        self.method.eval()
        rows = self._batches(epoch=0)[0][:2]
        with paddle.no_grad():
            for views, _ in load_batches(self.train_split, [rows]):
                for view in views:
                    self.method.deployed()(view)
            for views, _ in load_batches(self.eval_split, [[0]]):
                self.method.deployed()(views[0])

    def _batches(self, epoch: int) -> list[list[int]]:
        data = self.recipe.data
        return train_batches(self.train_split, data.batch_size, data.drop_last, self.recipe.run.seed, epoch)

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

    def _introduce(self, moved: str) -> None:
        """What runs, on what, and the first views as a VisualDL picture."""
        recipe, train, evaluated = self.recipe, self.train_split, self.eval_split
        trained = sum(int(np.prod(p.shape)) for p in self.method.parameters() if not p.stop_gradient)
        device = paddle.device.get_device()
        self.log.say(f"processor: {describe_processor()}; Paddle {paddle.__version__} on {device}")
        if moved:
            self.log.say(moved)
        self.log.say(
            f"{recipe.method.name} on {train.root}: {len(train)} training and {len(evaluated)} validation "
            f"images, {len(train.classes)} classes; {recipe.model.name}, {trained / 1e6:.2f} M weights"
        )
        if self.resume:
            self.log.say(f"Going on after step {self.state.step} of epoch {self.state.epoch + 1}")
        drawn = SeededExamples(train, recipe.run.seed, epoch=0)
        self.log.picture("views", view_grid([drawn[row][0] for row in self._batches(epoch=0)[0][:16]]))
