"""Contrastive Deep Supervision (Zhang et al., ECCV 2022, arXiv:2207.05306)."""

from __future__ import annotations

from typing import Annotated, Literal

import paddle
from pydantic import Field

from ppcds.losses import cross_entropy, supcon_loss
from ppcds.methods.method import Method, with_total
from ppcds.models import CDSNetwork


class ContrastiveDeepSupervision(Method):
    """Cross entropy of view 1 + weight x contrastive loss of both views at each of the four stages.

    contrast: "supcon" takes images of one class as positives, "simclr" the two views of one image alone.
    weight: of each stage's contrastive loss; temperature: of all of them.
    softmax_twice: the notebook's error, softmax before a cross entropy that applies softmax again.
    Source: train.py of the official code's CIFAR folder; the paper's equation stops at stage 3, its code
    supervises stage 4 too, and so do we.
    """

    views_used = 2

    def __init__(
        self,
        backbone: paddle.nn.Layer,
        contrast: Literal["supcon", "simclr"] = "supcon",
        weight: Annotated[float, Field(ge=0)] = 0.1,
        temperature: Annotated[float, Field(gt=0)] = 0.07,
        softmax_twice: bool = False,
    ) -> None:
        super().__init__()
        self.network = CDSNetwork(backbone)
        self.contrast = contrast
        self.weight = weight
        self.temperature = temperature
        self.softmax_twice = softmax_twice

    def forward(self, views, labels):
        # One pass over both views: batch norm sees them as one batch, as in the official code.
        logits, embeddings = self.network(paddle.concat(views))
        parts = {"cross_entropy": cross_entropy(logits[: len(labels)], labels, self.softmax_twice)}
        positives = labels if self.contrast == "supcon" else None
        for stage, embedding in zip((4, 3, 2, 1), embeddings):
            contrast = supcon_loss(paddle.split(embedding, len(views)), positives, self.temperature)
            parts[f"contrastive_stage{stage}"] = self.weight * contrast
        return with_total(parts)

    def deployed(self):
        return self.network.backbone
