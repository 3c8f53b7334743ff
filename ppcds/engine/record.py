"""What a run leaves in its folder and says of itself; with several ranks the first does it for all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ppcds.config import Recipe
from ppcds.distributed import num_ranks, once_for_all
from ppcds.engine.checkpoint import read_checkpoint, save_checkpoint
from ppcds.engine.checkpoint_files import LATEST, go_back, keep_epoch
from ppcds.engine.guards import warnings_about
from ppcds.engine.introduction import introduce, show_views
from ppcds.engine.parts import Parts
from ppcds.engine.progress import told_before
from ppcds.engine.run_folder import RunFolder
from ppcds.engine.run_log import RunLog, SilentLog, open_log
from ppcds.engine.sharing import describe_sharing
from ppcds.engine.unreadable import Unreadable
from ppcds.errors import UserError
from ppcds.weights import save_weights


class RunRecord:
    """The folder, checkpoints and log of the run that has these parts.

    checkpoint: that the run goes on from; None: it begins.
    """

    def __init__(self, recipe: Recipe, parts: Parts, checkpoint: Path | None) -> None:
        self.recipe, self.parts, self.checkpoint = recipe, parts, checkpoint
        self.state, self.method = parts.state, parts.method
        self.folder = Path(recipe.run.output_dir)
        self.latest = self.folder / LATEST
        self.goes_back = checkpoint not in (None, self.latest)
        self.unreadable = Unreadable(parts.train_split, parts.eval_split, before=self.state.unreadable)
        self.log: RunLog = SilentLog()  # until the folder is held

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder and keep the log while the block runs; a UserError that ends it is noted there."""
        folder = RunFolder(self.folder, self.checkpoint is not None)
        try:
            once_for_all(self.prepare_folder)
            self.log = open_log(self.folder, self._told_before)
            self.folder_said = folder.said
            yield
        except UserError as error:
            self.log.note(f"error: {error}")
            raise
        finally:
            self.log.close()
            folder.release()

    def _told_before(self, tag: str, step: int) -> bool:
        """Whether VisualDL has that point of `tag` already, and this run will not tell it again."""
        state = self.state
        going_on = self.checkpoint is not None
        return going_on and told_before(state.epoch, state.step, self.parts.steps)(tag, step)

    def prepare_folder(self) -> None:
        """Write the recipe, and put the folder back to the checkpoint that the run goes on from."""
        if self.checkpoint:
            now = read_checkpoint(self.checkpoint).state
            if (now.epoch, now.step) != (self.state.epoch, self.state.step):
                raise UserError(f"{self.checkpoint}: another run has gone on with it meanwhile: start again")
        self.recipe.save(self.folder / "recipe.yaml")
        if self.goes_back:
            go_back(self.checkpoint)
        elif self.state.epoch and not self.state.step:  # a kill may have come before its epoch was kept
            self._keep_epoch()

    def introduce(self) -> None:
        """The first lines of the log, and the first views."""
        parts, state, say = self.parts, self.state, self.log.say
        if self.folder_said:
            say(self.folder_said)
        introduce(self.log, self.recipe, self.method, parts.train_split, parts.eval_split)
        if num_ranks() > 1:
            say(describe_sharing(self.recipe))
        for name, checksum in state.frozen.items():
            say(f"the {name} stays as it is (SHA-256 {checksum[:16]}, checked after each epoch)")
        if not self.checkpoint:
            show_views(self.log, parts.train_split, self.recipe.run.seed, parts.first_rows[:16])
            return
        epoch = state.epoch + 1
        finished = epoch > self.recipe.optim.epochs
        say("All epochs are done" if finished else f"Going on after step {state.step} of epoch {epoch}")
        if self.goes_back:
            say(f"what was done after {self.checkpoint.name} is forgotten")
        for line in parts.changed:
            say(line)

    def warn(self, means: dict[str, float]) -> None:
        """Say what an epoch's averaged measures warn of."""
        for warning in warnings_about(means):
            measure = warning.split()[0]
            if measure not in self.state.warned:  # once a run: it would say the same each epoch
                self.state.warned.append(measure)
                self.log.say(f"warning: {warning}")

    def save(self) -> None:
        """Make the latest checkpoint of where the run stands. Every rank has to call it."""
        self.unreadable.tell(self.log.say)  # what the checkpoint calls told
        self.state.unreadable = tuple(self.unreadable.rows)
        self.log.settle()
        once_for_all(
            lambda: save_checkpoint(self.latest, self.recipe, self.state, self.method, self.parts.optimizer)
        )

    def save_deployed(self, name: str) -> None:
        """Write the deployed network's weights to a file of that name."""
        once_for_all(lambda: save_weights(self.method.deployed().state_dict(), self.folder / name))

    def epoch_saved(self) -> None:
        """What follows the checkpoint of a whole epoch; a run that goes on after a kill does it first."""
        once_for_all(self._keep_epoch)
        self.metrics()

    def metrics(self) -> None:
        """Write metrics.csv."""
        once_for_all(lambda: self.log.metrics(self.state.history))

    def _keep_epoch(self) -> None:
        keep_epoch(self.folder, self.state.epoch, self.recipe.run.keep_checkpoints)
