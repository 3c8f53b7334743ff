"""SimCLR on partly labelled data with a linear probe trained beside it (the Keras example)."""

from __future__ import annotations

from typing import Annotated

import paddle
from pydantic import Field

from ppcds.losses import contrast_levels, cross_entropy, nt_xent_loss
from ppcds.methods.method import Method, stack_views
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

    def make_views(self, views):
        (images,) = views
        return [self.contrastive(images), self.contrastive(images), self.classification(images)]

    def outputs(self, views, labels):
        *contrasted, classified = views
        projections = self.projection(self.backbone.encode(paddle.concat(contrasted)))
        features = paddle.zeros([len(labels), self.backbone.feature_dim])
        labelled = (labels >= 0).nonzero().flatten()
        if len(labelled):  # the others are not looked at: a row of zeros stands for them
            features = features.scatter(labelled, self._features(classified.gather(labelled)))
        return {"projections": stack_views(projections, 2), "logits": self.backbone.fc(features)}

    def losses(self, outputs, labels):
        projections = paddle.unbind(outputs["projections"], axis=1)
        parts = {"contrastive": nt_xent_loss(projections, self.temperature, negatives="cross")}
        self.note(
            **contrast_levels("contrastive", len(labels), self.temperature),
            contrastive_accuracy=contrastive_accuracy(projections, negatives="cross"),
        )
        self.note_embeddings("embedding", projections)
        parts["probe"] = cross_entropy(outputs["logits"], labels)
        right = (outputs["logits"].argmax(axis=1) == labels).astype("float32").sum()
        self.note(probe_accuracy=right / (labels >= 0).astype("float32").sum().clip(min=1))
        return parts

    def _features(self, images: paddle.Tensor) -> paddle.Tensor:
        """Without gradient, of the backbone in evaluation mode, as in the example."""
        training = self.training
        self.backbone.eval()
        with paddle.no_grad():
            features = self.backbone.encode(images)
        if training:
            self.backbone.train()
        return features

    def deployed(self):
        return self.backbone
