"""The projection head of contrastive pretraining (Chen et al. 2020, arXiv:2002.05709, arXiv:2006.10029)."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F
from paddle import nn

from ppcds.errors import UserError
from ppcds.models.initialise import initialise

MOST_LAYERS = 100  # a recipe of others could ask for as many as it has bytes


class ProjectionHead(nn.Layer):
    """Linear layers with ReLU between them; the loss sees the last's output, fine-tuning may keep the first.

    in_dim: of the features.  widths: outputs of each layer; [] is the identity, [128] a linear head,
    [2048, 128] SimCLR's MLP, [2048, 2048, 128] SimCLR v2's.
    batch_norm: "none", after the "hidden" layers, or after "all"; a normalised layer has no bias of its own,
    and the last one no shift in its batch norm either (ProjectionHead of SimCLR's tf2/model.py).
    depth: build only so many of the layers, those that a fine-tuned classifier keeps; None builds all.
    Layer i of `layers` is a linear layer, its batch norm if it has one, and ReLU unless it is the last of
    `widths`.
    Raises UserError for more than MOST_LAYERS.
    """

    def __init__(
        self, in_dim: int, widths: Sequence[int], batch_norm: str = "none", depth: int | None = None
    ):
        super().__init__()
        if batch_norm not in ("none", "hidden", "all"):
            raise ValueError(f"unknown batch_norm {batch_norm!r}: use none, hidden or all")
        if len(widths) > MOST_LAYERS:
            raise UserError(f"a projection head of {len(widths)} layers: {MOST_LAYERS} are more than enough")
        built = list(widths)[:depth]
        self.in_dim = in_dim
        self.full_depth = len(widths)
        self.out_dim = built[-1] if built else in_dim
        self.layers = nn.LayerList()
        for index, (inputs, outputs) in enumerate(zip([in_dim, *built], built)):
            last = index == len(widths) - 1
            normalised = batch_norm == "all" or (batch_norm == "hidden" and not last)
            parts = [nn.Linear(inputs, outputs, bias_attr=False if normalised else None)]
            if normalised:
                parts.append(UnshiftedBatchNorm1D(outputs) if last else nn.BatchNorm1D(outputs))
            if not last:
                parts.append(nn.ReLU())
            self.layers.append(nn.Sequential(*parts))
        initialise(self)

    def forward(self, features: paddle.Tensor, num_layers: int | None = None) -> paddle.Tensor:
        """features [N, in_dim] -> output of the first `num_layers` layers (None: all; 0: the features)."""
        for layer in list(self.layers)[:num_layers]:
            features = layer(features)
        return features


class UnshiftedBatchNorm1D(nn.BatchNorm1D):
    """Batch norm with a scale and no shift, whose scale learns: Paddle's own gives it no gradient then."""

    def __init__(self, num_features: int):
        super().__init__(num_features, bias_attr=False)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        shift = paddle.zeros_like(self.weight)
        shift.stop_gradient = False  # Paddle's condition for the scale's gradient
        statistics = self._mean, self._variance
        return F.batch_norm(x, *statistics, self.weight, shift, self.training, self._momentum, self._epsilon)
