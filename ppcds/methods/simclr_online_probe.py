"""SimCLR on partly labelled data with a linear probe trained beside it (the Keras example)."""

from __future__ import annotations

from typing import Annotated

import paddle
from pydantic import Field

from ppcds.losses import contrast_levels, cross_entropy, nt_xent_loss
from ppcds.methods.method import Method, with_total
from ppcds.methods.simclr import contrastive_accuracy
from ppcds.models import ProjectionHead
from ppcds.transforms.batched import BatchedAugmentation


class SimCLROnlineProbe(Method):
    """Contrastive loss of two augmentations of every image + cross entropy of a probe on the labelled ones.

    The probe is the backbone's classifier on features without gradient, so the backbone learns from the
    contrast alone and is what is deployed, probe included.  The views are made here: the recipe gives
    images from 0 to 1, one view.
    head_widths: of the projection head's layers, without batch norm.
    contrastive, classification: augmentations of what is contrasted and of what the probe sees.
    Source: Keras example semisupervised_simclr, ContrastiveModel; its loss has negatives from the other view
    only, and its two Adams are one here, which is the same at one learning rate.
    """

    views_made = 2

    def __init__(
        self,
        backbone: paddle.nn.Layer,
        contrastive: BatchedAugmentation,
        classification: BatchedAugmentation,
        head_widths: tuple[Annotated[int, Field(gt=0)], ...] = (128, 128),
        temperature: Annotated[float, Field(gt=0)] = 0.1,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection = ProjectionHead(backbone.feature_dim, head_widths, batch_norm="none")
        self.contrastive, self.classification = contrastive, classification
        self.temperature = temperature

    def forward(self, views, labels):
        (images,) = views
        both = paddle.concat([self.contrastive(images), self.contrastive(images)])
        projections = paddle.split(self.projection(self.backbone.encode(both)), 2)
        parts = {"contrastive": nt_xent_loss(projections, self.temperature, negatives="cross")}
        self.note(
            **contrast_levels("contrastive", len(labels), self.temperature),
            contrastive_accuracy=contrastive_accuracy(projections, negatives="cross"),
        )
        self.note_embeddings("embedding", projections)
        rows = (labels >= 0).nonzero().flatten()
        if not len(rows):  # data.labelled_per_batch gives every batch some
            parts["probe"] = 0.0 * self.backbone.fc.weight.sum()
            return with_total(parts)
        logits, known = self._probe(images.gather(rows)), labels.gather(rows)
        parts["probe"] = cross_entropy(logits, known)
        self.note(probe_accuracy=(logits.argmax(axis=1) == known).astype("float32").mean())
        return with_total(parts)

    def _probe(self, images: paddle.Tensor) -> paddle.Tensor:
        """Logits on features without gradient, of the backbone in evaluation mode, as in the example."""
        training = self.training
        self.backbone.eval()
        with paddle.no_grad():
            features = self.backbone.encode(self.classification(images))
        if training:
            self.backbone.train()
        return self.backbone.fc(features)

    def deployed(self):
        return self.backbone
