"""One step of training: the losses of a batch, their gradients, and the optimiser."""

from __future__ import annotations

import paddle

from ppcds.config import Recipe
from ppcds.distributed import average_gradients, num_ranks
from ppcds.engine.gradient_cache import BatchInParts
from ppcds.engine.precision import Precision
from ppcds.errors import UserError
from ppcds.methods.method import Method
from ppcds.models import Backbone


class TrainStep:
    """`step(views, labels, check)` moves the method's weights by one batch.

    run.amp: networks compute in mixed precision, losses in single precision (see Precision).
    optim.accumulate: the batch goes through the networks in parts, and the losses see all of it (see
    BatchInParts): memory of a part, for one more pass forward.
    run.to_static: the stages of the method's backbones run as static graphs.
    Raises UserError for what the recipe asks for and the device, or another of its keys, does not allow.
    """

    def __init__(self, recipe: Recipe, method: Method, optimizer: paddle.optimizer.Optimizer) -> None:
        self.method, self.optimizer = method, optimizer
        self.precision = Precision(recipe.run.amp)
        self.part = _rows_of_part(recipe)
        if recipe.run.to_static:
            _run_static(recipe, method)

    def __call__(self, views, labels, check) -> tuple[dict[str, float], dict[str, float]]:
        """(losses with "loss", notes) of the batch, as numbers.

        views: V tensors [N, 3, H, W]; labels: [N].  check(losses) is called before any weight moves. Where
        gradients overflow fp16 no weight moves either, and the note "loss_scale" falls.
        """
        self.method.noted = {}
        views = self.method.make_views(views)
        parts = None
        if self.part:
            parts = BatchInParts(self.method, views, labels, self.part, self.precision.autocast)
            outputs = parts.outputs
        else:
            with self.precision.autocast():
                outputs = self.method.outputs(views, labels)
        losses = self.method.all_losses(outputs, labels)
        values, notes = numbers(losses), numbers(self.method.noted)
        check(values)
        self.precision.scaled(losses["loss"]).backward()
        if parts:
            parts.backward()
        average_gradients(self.method)
        self.precision.move(self.optimizer)
        self.optimizer.clear_grad()
        self.method.after_step()
        if self.precision.scaler:
            notes["loss_scale"] = self.precision.scale()
        return values, notes


def _rows_of_part(recipe: Recipe) -> int:
    """How many rows of a rank go through the network at once; 0: all."""
    parts, rows = recipe.optim.accumulate, recipe.data.batch_size // num_ranks()
    if parts == 1:
        return 0
    if rows % parts:
        ranks = f" of each of {num_ranks()} ranks" if num_ranks() > 1 else ""
        raise UserError(
            f"optim.accumulate: {rows} rows{ranks} of data.batch_size cannot be cut into {parts} parts"
        )
    return rows // parts


def _run_static(recipe: Recipe, method: Method) -> None:
    if recipe.model.recompute:
        raise UserError("run.to_static: a static graph keeps its inner results: use model.recompute: []")
    if recipe.optim.accumulate > 1:
        raise UserError(
            "run.to_static: a static graph cannot hold running statistics between two passes: use "
            "optim.accumulate: 1"
        )
    if recipe.model.channels_last and paddle.get_device() == "cpu":
        # Paddle would take NHWC for the order of every later oneDNN program of the process.
        raise UserError(
            "run.to_static: static graphs on a processor need channels first: use model.channels_last: false"
        )
    if num_ranks() > 1 and paddle.get_device() == "cpu":
        raise UserError(
            "run.to_static: static graphs on a processor cannot share batch norm among ranks: use "
            "run.to_static: false, or one process"
        )
    for layer in method.sublayers():
        if isinstance(layer, Backbone):
            layer.run_static()


def numbers(values: dict[str, paddle.Tensor | float]) -> dict[str, float]:
    """Scalars as numbers, fetched from the device at once."""
    if not values:
        return {}
    scalars = [paddle.to_tensor(v) if isinstance(v, float) else v for v in values.values()]
    tensors = [scalar.astype("float32").reshape([]) for scalar in scalars]
    return dict(zip(values, paddle.stack(tensors).tolist()))
