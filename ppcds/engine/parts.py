"""What a run is made of, before its folder is touched."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ppcds.config import Recipe
from ppcds.datasets.build import build_eval_split, build_held_back_split, build_train_split
from ppcds.datasets.loader import train_batches
from ppcds.distributed import num_ranks
from ppcds.engine.checkpoint import load_arrays, method_arrays, read_checkpoint, restore
from ppcds.engine.checkpoint_files import LATEST, best_until
from ppcds.engine.evaluate import Evaluation
from ppcds.engine.frozen import checksums, require_unchanged
from ppcds.engine.optimizers import build_optimizer
from ppcds.engine.recipe_changes import describe_changes, require_allowed
from ppcds.engine.sharing import share_batches
from ppcds.engine.step import TrainStep
from ppcds.engine.train_state import TrainState
from ppcds.errors import UserError
from ppcds.methods.build import build_method, complete_options
from ppcds.runtime import seed_step


class Parts:
    """Splits, method, optimiser, step, evaluation and state of a recipe's run, made in this order.

    checkpoint: to go on from; None: the run begins.  allow_change: keys that may differ, see recipe_changes.
    steps: batches of an epoch.  first_rows: of its first batch.  changed: lines about what differs.
    Raises UserError for what can be wrong with recipe, tables or weights; with the recipe of a checkpoint
    before the network that it asks for takes any memory.
    """

    def __init__(self, recipe: Recipe, checkpoint: Path | None, allow_change: Collection[str]) -> None:
        self.recipe = recipe
        self.eval_split = build_held_back_split(recipe) if recipe.data.hold_back else build_eval_split(recipe)
        recipe.data.classes = list(self.eval_split.classes)
        complete_options(recipe)
        self.state, self.changed, arrays, saved = TrainState(ranks=num_ranks()), [], None, None
        if checkpoint:
            before = read_checkpoint(checkpoint)
            differing = require_allowed(checkpoint, before.recipe, recipe, allow_change)
            self.changed = describe_changes(differing)
            self.state, arrays = before.state, load_arrays(before)
            saved = method_arrays(arrays)
        seed_step(recipe.run.seed)  # the first weights
        classes = len(recipe.data.classes)
        self.method = build_method(recipe, classes, not checkpoint, saved, checkpoint or "")
        self.train_split = build_train_split(recipe, self.method.views_used)
        first_epoch = self.batches(epoch=0)
        self.steps, self.first_rows = len(first_epoch), first_epoch[0]
        share_batches(recipe, self.method, first_epoch)
        self.evaluation = Evaluation(recipe, self.train_split, self.eval_split, self.method.representation)
        classifier = getattr(self.method.deployed(), "fc", None)
        self.optimizer = build_optimizer(
            recipe.optim, self.method.parameters(), classifier.parameters() if classifier else ()
        )
        self.step = TrainStep(recipe, self.method, self.optimizer)
        if checkpoint:
            self._go_on(checkpoint, arrays)
        else:
            self.state.frozen = checksums(self.method.frozen())

    def _go_on(self, checkpoint: Path, arrays: dict) -> None:
        if self.state.step > self.steps:
            raise UserError(
                f"{checkpoint}: it is after step {self.state.step} of an epoch that has {self.steps} now"
            )
        restore(checkpoint, arrays, self.method, self.optimizer)
        latest = Path(self.recipe.run.output_dir, LATEST)
        if checkpoint != latest and not best_until(checkpoint):
            self.state.best = TrainState.best  # what was best then is not there any more
        self.step.precision.restore(self.state.scaler)
        require_unchanged(self.method.frozen(), self.state.frozen)

    def batches(self, epoch: int) -> list[list[int]]:
        """Rows of the training split, batch after batch."""
        data = self.recipe.data
        return train_batches(
            self.train_split,
            data.batch_size,
            data.drop_last,
            self.recipe.run.seed,
            epoch,
            data.labelled_per_batch,
        )
