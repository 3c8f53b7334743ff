"""Supervised contrastive pretraining, stage one of two (Khosla et al. 2020, arXiv:2004.11362)."""

from __future__ import annotations

from typing import Annotated

import paddle
from pydantic import Field

from ppcds.losses import contrast_levels, share_with_classmate, supcon_loss
from ppcds.methods.method import Method, stack_views
from ppcds.models import Encoder


class SupCon(Method):
    """Supervised contrastive loss of the projections of `views` views; unlabelled images attract their own.

    Stage two is the method "linear" on the encoder this one leaves.
    temperature: the default of the authors' code (its CIFAR commands use 0.1).
    """

    representation = True

    def __init__(
        self,
        encoder: Encoder,
        temperature: Annotated[float, Field(gt=0)] = 0.07,
        views: Annotated[int, Field(ge=2)] = 2,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.temperature = temperature
        self.views_used = views

    def outputs(self, views, labels):
        # One pass over all views: batch norm sees them as one batch, as in the authors' code.
        _, projections = self.encoder.project(paddle.concat(views))
        return {"projections": stack_views(projections, len(views))}

    def losses(self, outputs, labels):
        views = paddle.unbind(outputs["projections"], axis=1)
        loss = supcon_loss(views, labels, self.temperature)
        self.note(
            **contrast_levels("supcon", len(views) * len(labels) - 1, self.temperature),
            # Not the share with any positive: with two views that is always 1.
            share_with_classmate=share_with_classmate(labels),
        )
        self.note_embeddings("embedding", views)
        return {"supcon": loss}

    def deployed(self):
        return self.encoder
