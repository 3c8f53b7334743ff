"""What every backbone offers, so that any method can use any of them."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn

from ppcds.errors import UserError

SMALLEST_SIDE = 32  # px; leaves a ResNet a stage 4 map of 4x4, the one the official heads were made for


class Backbone(nn.Layer):
    """Four stages, a feature vector and a linear classifier.

    num_classes: outputs of the classifier `fc`; 0 builds none (`fc` is None).
    stem: "small", which keeps the image's size, or "imagenet", which reduces it at once.
    A subclass sets `stage_channels` (of the four stages' maps), `feature_dim` and `fc`, and defines
    `stage_features`.
    """

    stage_channels: list[int]
    feature_dim: int
    fc: nn.Linear | None

    def __init__(self, num_classes: int, stem: str):
        super().__init__()
        if stem not in ("small", "imagenet"):
            raise UserError(f"unknown stem {stem!r}: use small or imagenet")
        self.num_classes = num_classes
        self.stem = stem

    def stage_features(self, images: paddle.Tensor) -> list[paddle.Tensor]:
        """images [N, 3, H, W] -> the four stages' maps [N, stage_channels[i], H_i, W_i], first to last."""
        raise NotImplementedError(f"{type(self).__name__} has no stage_features")

    def features(self, last_stage: paddle.Tensor) -> paddle.Tensor:
        """Last stage's map [N, C, H, W] -> its average [N, feature_dim], the vector below the classifier."""
        return F.adaptive_avg_pool2d(last_stage, 1).flatten(1)

    def encode(self, images: paddle.Tensor) -> paddle.Tensor:
        """images [N, 3, H, W] -> features [N, feature_dim], whether there is a classifier or not."""
        return self.features(self.stage_features(images)[-1])

    def classify(self, last_stage: paddle.Tensor) -> paddle.Tensor:
        """Last stage's map [N, C, H, W] -> logits [N, num_classes]."""
        return self.fc(self.features(last_stage))

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """images [N, 3, H, W] -> logits [N, num_classes], or features [N, feature_dim] without classifier."""
        last_stage = self.stage_features(images)[-1]
        return self.features(last_stage) if self.fc is None else self.classify(last_stage)

    def check_size(self, images: paddle.Tensor) -> None:
        """Raises UserError below 32 px on a side, where the small stem leaves the last stage too little."""
        # Sizes are only known when a network runs; while it is exported they may be left open.
        if self.stem == "small" and paddle.in_dynamic_mode() and min(images.shape[2:]) < SMALLEST_SIDE:
            height, width = images.shape[2:]
            raise UserError(
                f"images of {height}x{width} px are too small: the network needs {SMALLEST_SIDE} px on a side"
            )
