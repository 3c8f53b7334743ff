"""What pretraining without labels leaves behind: a backbone without classifier and its projection head."""

from __future__ import annotations

import paddle
from paddle import nn

from ppcds.models.projection import ProjectionHead


class Encoder(nn.Layer):
    """backbone: built with num_classes=0.  projection: the head on its features.

    `encoder(images)` are the features that probes and neighbours see; `encoder.project(images)` adds what
    the contrastive loss sees.
    """

    def __init__(self, backbone: nn.Layer, projection: ProjectionHead):
        super().__init__()
        if backbone.num_classes != 0:
            raise ValueError("an encoder's backbone has no classifier: build it with num_classes=0")
        if projection.in_dim != backbone.feature_dim:
            raise ValueError(f"features of {backbone.feature_dim} for a head that takes {projection.in_dim}")
        self.backbone = backbone
        self.projection = projection
        self.feature_dim = backbone.feature_dim

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """images [N, 3, H, W] -> features [N, feature_dim], below the projection head."""
        return self.backbone(images)

    def project(self, images: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
        """images [N, 3, H, W] -> (features [N, feature_dim], projections [N, projection.out_dim])."""
        features = self.backbone(images)
        return features, self.projection(features)
