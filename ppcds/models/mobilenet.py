"""MobileNetV3 with stage features (Howard et al. 2019, arXiv:1905.02244), from paddle.vision's layers."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.vision.models import MobileNetV3Large, MobileNetV3Small

from ppcds.models.backbone import Backbone
from ppcds.models.initialise import initialise


class MobileNetV3(Backbone):
    """Four stages of inverted residuals, a hidden layer above their average, and a linear classifier.

    variant: MobileNetV3Small or MobileNetV3Large.
    width: 64 is the published network, 32 has half its channels (rounded to multiples of 8).
    stem: "imagenet" as published, with stages at 1/4, 1/8, 1/16, 1/32 of the image; "small" with a first
    convolution that keeps the size, and stages at 1/2, 1/4, 1/8, 1/16.
    The last stage ends in the 1x1 convolution that the published network averages.
    """

    def __init__(
        self,
        variant: type[MobileNetV3Small] | type[MobileNetV3Large],
        num_classes: int = 10,
        width: int = 64,
        stem: str = "small",
    ):
        super().__init__(num_classes, stem)
        published = variant(scale=width / 64, num_classes=0)
        if stem == "small":
            channels = published.firstconv_in_channels
            published.conv[0] = nn.Conv2D(3, channels, 3, stride=1, padding=1, bias_attr=False)
        self.conv = published.conv
        self.blocks = nn.LayerList(list(published.blocks.children()))
        self.lastconv = published.lastconv
        halvings = [index for index, block in enumerate(published.config) if block.stride == 2]
        # Each stage but the first begins with a halving; the first holds what comes before its end.
        self.stage_ends = [index - 1 for index in halvings[1:]]
        self.stage_channels = [published.config[end].out_channels for end in self.stage_ends]
        self.stage_channels.append(published.lastconv_out_channels)

        self.feature_dim = published.last_channel
        self.hidden = nn.Linear(self.stage_channels[3], self.feature_dim)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(self.feature_dim, num_classes) if num_classes else None
        initialise(self)

    def enter(self, images: paddle.Tensor) -> paddle.Tensor:
        return self.conv(images)

    def stage(self, number: int, features: paddle.Tensor) -> paddle.Tensor:
        bounds = [-1, *self.stage_ends, len(self.blocks) - 1]
        for index in range(bounds[number - 1] + 1, bounds[number] + 1):
            features = self.blocks[index](features)
        return self.lastconv(features) if number == 4 else features

    def features(self, last_stage: paddle.Tensor) -> paddle.Tensor:
        """Last stage's map [N, C, H, W] -> hidden layer of the published classifier, [N, feature_dim]."""
        # Not super(): Paddle 2.6 cannot export it.
        return F.hardswish(self.hidden(Backbone.features(self, last_stage)))

    def classify(self, last_stage: paddle.Tensor) -> paddle.Tensor:
        """Last stage's map -> logits [N, num_classes]; in training with the published dropout before `fc`."""
        return self.fc(self.dropout(self.features(last_stage)))
