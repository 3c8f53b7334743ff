"""A classifier that keeps the start of its projection head (Chen et al. 2020, arXiv:2006.10029)."""

from __future__ import annotations

import paddle
from paddle import nn

from ppcds.models.initialise import initialise
from ppcds.models.projection import ProjectionHead


class HeadedClassifier(nn.Layer):
    """Backbone, the first layers of a projection head, and a linear classifier on them: itself a backbone.

    SimCLR v2 fine-tunes from the first of three layers: with few labels that beats discarding the head.
    backbone: built with num_classes=0.  projection: no more layers of the head than are kept.
    """

    def __init__(self, backbone: nn.Layer, projection: ProjectionHead, num_classes: int):
        super().__init__()
        self.backbone = backbone
        self.projection = projection
        self.num_classes = num_classes
        self.stage_channels = list(backbone.stage_channels)
        self.feature_dim = projection.out_dim
        self.fc = nn.Linear(self.feature_dim, num_classes)
        initialise(self.fc)

    def stage_features(self, images: paddle.Tensor) -> list[paddle.Tensor]:
        return self.backbone.stage_features(images)

    def last_stage(self, images: paddle.Tensor) -> paddle.Tensor:
        return self.backbone.last_stage(images)

    def features(self, last_stage: paddle.Tensor) -> paddle.Tensor:
        """Last stage's map [N, C, H, W] -> output of the head's layers [N, feature_dim]."""
        return self.projection(self.backbone.features(last_stage))

    def encode(self, images: paddle.Tensor) -> paddle.Tensor:
        """images [N, 3, H, W] -> features [N, feature_dim]."""
        return self.features(self.last_stage(images))

    def classify(self, last_stage: paddle.Tensor) -> paddle.Tensor:
        return self.fc(self.features(last_stage))

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """images [N, 3, H, W] -> logits [N, num_classes]."""
        return self.classify(self.last_stage(images))
