"""What every backbone offers, so that any method can use any of them."""

from __future__ import annotations

from functools import partial

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.distributed.fleet.utils import recompute
from paddle.static import InputSpec

from ppcds.errors import UserError
from ppcds.models.running_statistics import statistics_move

SMALLEST_SIDE = 32  # px; leaves a ResNet a stage 4 map of 4x4, the one the official heads were made for


class Backbone(nn.Layer):
    """Four stages, a feature vector and a linear classifier.

    num_classes: outputs of the classifier `fc`; 0 builds none (`fc` is None).
    stem: "small", which keeps the image's size, or "imagenet", which reduces it at once.
    A subclass sets `stage_channels` (of the four stages' maps), `feature_dim` and `fc`, and defines `enter`
    and `stage`.
    channels_last: within the stages maps are [N, H, W, C] (see models.channels_last); outside never.
    recomputed: stages whose inner results a backward pass computes again instead of keeping them.
    """

    channels_last = False
    recomputed: tuple[int, ...] = ()
    stage_channels: list[int]
    feature_dim: int
    fc: nn.Linear | None

    def __init__(self, num_classes: int, stem: str):
        super().__init__()
        if stem not in ("small", "imagenet"):
            raise UserError(f"unknown stem {stem!r}: use small or imagenet")
        self.num_classes = num_classes
        self.stem = stem

    def enter(self, images: paddle.Tensor) -> paddle.Tensor:
        """Images -> what the first stage takes."""
        raise NotImplementedError(f"{type(self).__name__} has no enter")

    def stage(self, number: int, features: paddle.Tensor) -> paddle.Tensor:
        """The map of stage `number`, 1 to 4, from that of the stage before."""
        raise NotImplementedError(f"{type(self).__name__} has no stage")

    def stage_features(self, images: paddle.Tensor) -> list[paddle.Tensor]:
        """images [N, 3, H, W] -> the four stages' maps [N, stage_channels[i], H_i, W_i], first to last.

        Raises UserError for images that are too small.
        """
        return [self._channels_first(stage) for stage in self.run_stages(images)]

    def last_stage(self, images: paddle.Tensor) -> paddle.Tensor:
        """The last of `stage_features` alone."""
        return self._channels_first(self.run_stages(images)[-1])

    def run_stages(self, images: paddle.Tensor) -> list[paddle.Tensor]:
        """images [N, 3, H, W] -> the stages' maps in their order of memory."""
        self.check_size(images)
        features = self.enter(images.transpose([0, 2, 3, 1]) if self.channels_last else images)
        stages = []
        for number in (1, 2, 3, 4):
            if number in self.recomputed and self.training and paddle.is_grad_enabled():
                features = recompute(partial(self._stage_again, number), features)
            else:
                features = self.stage(number, features)
            stages.append(features)
        return stages

    def run_static(self) -> None:
        """From now on the stages run as a static graph, one for training and one for evaluation."""
        images = InputSpec([None, 3, None, None], "float32", "images")
        self.run_stages = paddle.jit.to_static(self.run_stages, input_spec=[images], full_graph=True)

    def _stage_again(self, number: int, features: paddle.Tensor) -> paddle.Tensor:
        """`stage` for Paddle's recompute: without gradients first, then in the backward pass with them."""
        with statistics_move(self, 0 if paddle.is_grad_enabled() else 1):
            return self.stage(number, features)

    def _channels_first(self, features: paddle.Tensor) -> paddle.Tensor:
        return features.transpose([0, 3, 1, 2]) if self.channels_last else features

    def features(self, last_stage: paddle.Tensor) -> paddle.Tensor:
        """Last stage's map [N, C, H, W] -> its average [N, feature_dim], the vector below the classifier."""
        return F.adaptive_avg_pool2d(last_stage, 1).flatten(1)

    def encode(self, images: paddle.Tensor) -> paddle.Tensor:
        """images [N, 3, H, W] -> features [N, feature_dim], whether there is a classifier or not."""
        return self.features(self.last_stage(images))

    def classify(self, last_stage: paddle.Tensor) -> paddle.Tensor:
        """Last stage's map [N, C, H, W] -> logits [N, num_classes]."""
        return self.fc(self.features(last_stage))

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """images [N, 3, H, W] -> logits [N, num_classes], or features [N, feature_dim] without classifier."""
        last_stage = self.last_stage(images)
        return self.features(last_stage) if self.fc is None else self.classify(last_stage)

    def check_size(self, images: paddle.Tensor) -> None:
        """Raises UserError below 32 px on a side, where the small stem leaves the last stage too little."""
        # Sizes are only known when a network runs; while it is exported they may be left open.
        if self.stem == "small" and paddle.in_dynamic_mode() and min(images.shape[2:]) < SMALLEST_SIDE:
            height, width = images.shape[2:]
            raise UserError(
                f"images of {height}x{width} px are too small: the network needs {SMALLEST_SIDE} px on a side"
            )
