"""A batch through the network in parts, with losses of the whole (Gao et al. 2021, arXiv:2101.06983)."""

from __future__ import annotations

import paddle

from ppcds.losses.supcon import single_precision
from ppcds.methods.method import Method
from ppcds.models.running_statistics import statistics_move


class BatchInParts:
    """A method's outputs of all rows, for which only the graph of one part is ever in memory.

    `outputs` come from a first pass without gradients. After the losses' backward has reached them,
    `backward()` runs each part again, with the random numbers of its first pass, and hands the gradients of
    its rows on to the network.  part: rows of each part; the last may have fewer.

    Losses and gradients are those of the whole batch, as every row meets all others in the loss. Batch norm
    is the exception: it normalises a part by the part, and its running statistics move once a step, to about
    the mean of the parts.
    """

    def __init__(
        self, method: Method, views: list[paddle.Tensor], labels: paddle.Tensor, part: int, autocast
    ) -> None:
        self.method, self.autocast = method, autocast
        self.rows = [slice(start, start + part) for start in range(0, len(labels), part)]
        self.parts = [([view[rows] for view in views], labels[rows]) for rows in self.rows]
        self.random = []
        found = []
        with paddle.no_grad(), statistics_move(method, 0):
            for part_views, part_labels in self.parts:
                self.random.append(paddle.get_rng_state())
                with autocast():
                    found.append(method.outputs(part_views, part_labels))
        self.outputs = {}
        for name in found[0]:
            whole = paddle.concat([single_precision(outputs[name]) for outputs in found])
            whole.stop_gradient = False
            self.outputs[name] = whole

    def backward(self) -> None:
        """Second pass: the gradients of the outputs become those of the weights."""
        for rows, random, (views, labels) in zip(self.rows, self.random, self.parts):
            paddle.set_rng_state(random)
            with statistics_move(self.method, 1 / len(self.parts)), self.autocast():
                outputs = self.method.outputs(views, labels)
            reached = {
                name: whole.grad[rows].astype(outputs[name].dtype)
                for name, whole in self.outputs.items()
                if whole.grad is not None and not outputs[name].stop_gradient
            }
            paddle.autograd.backward([outputs[name] for name in reached], list(reached.values()))
