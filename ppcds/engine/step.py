"""One step of training: the losses of a batch, their gradients, and the optimiser."""

from __future__ import annotations

import paddle

from ppcds.config import Recipe
from ppcds.methods.method import Method


class TrainStep:
    """`step(views, labels)` moves the method's weights by one batch."""

    def __init__(self, recipe: Recipe, method: Method, optimizer: paddle.optimizer.Optimizer) -> None:
        self.method, self.optimizer = method, optimizer

    def __call__(self, views, labels, check) -> tuple[dict[str, float], dict[str, float]]:
        """(losses with "loss", notes) of the batch, as numbers.

        views: V tensors [N, 3, H, W]; labels: [N].  check(losses) is called before any weight moves.
        """
        self.method.noted = {}
        losses = self.method(views, labels)
        parts, notes = numbers(losses), numbers(self.method.noted)
        check(parts)
        losses["loss"].backward()
        self.optimizer.step()
        self.optimizer.clear_grad()
        self.method.after_step()
        return parts, notes


def numbers(values: dict[str, paddle.Tensor | float]) -> dict[str, float]:
    """Scalars as numbers, fetched from the device at once."""
    if not values:
        return {}
    scalars = [paddle.to_tensor(v) if isinstance(v, float) else v for v in values.values()]
    tensors = [scalar.astype("float32").reshape([]) for scalar in scalars]
    return dict(zip(values, paddle.stack(tensors).tolist()))
