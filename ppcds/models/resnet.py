"""ResNet with stage features (He et al. 2016, arXiv:1512.03385), laid out and named as torchvision's."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.vision.models.resnet import BasicBlock, BottleneckBlock

from ppcds.errors import UserError
from ppcds.models.initialise import initialise

SMALLEST_SIDE = 32  # px; leaves a stage 4 map of 4x4, the one the official heads were made for


class ResNet(nn.Layer):
    """Four stages of residual blocks, whose features any method can use, and a linear classifier.

    block: BasicBlock or BottleneckBlock (stride in its 3x3, as torchvision).  depths: blocks of each stage.
    width: channels of the first stage before the block's expansion.
    stem: "small", a 3x3 convolution that keeps the size, or "imagenet", 7x7 stride 2 and 3x3 max pooling.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[BottleneckBlock],
        depths: Sequence[int],
        num_classes: int = 10,
        width: int = 64,
        stem: str = "small",
    ):
        super().__init__()
        if stem not in ("small", "imagenet"):
            raise UserError(f"unknown stem {stem!r}: use small or imagenet")
        self.stem = stem
        self.num_classes = num_classes
        self.stage_channels = [width * factor * block.expansion for factor in (1, 2, 4, 8)]

        if stem == "small":
            self.conv1 = nn.Conv2D(3, width, 3, stride=1, padding=1, bias_attr=False)
        else:
            self.conv1 = nn.Conv2D(3, width, 7, stride=2, padding=3, bias_attr=False)
            self.maxpool = nn.MaxPool2D(3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2D(width)
        self.layer1 = _stage(block, depths[0], width, width, stride=1)
        self.layer2 = _stage(block, depths[1], self.stage_channels[0], width * 2, stride=2)
        self.layer3 = _stage(block, depths[2], self.stage_channels[1], width * 4, stride=2)
        self.layer4 = _stage(block, depths[3], self.stage_channels[2], width * 8, stride=2)
        self.fc = nn.Linear(self.stage_channels[3], num_classes)
        initialise(self)

    def stage_features(self, images: paddle.Tensor) -> list[paddle.Tensor]:
        """images [N, 3, H, W] -> outputs of the four stages, [N, stage_channels[i], H_i, W_i], first to last.

        With the small stem H_i = H / 2**i.  Raises UserError below 32 px on a side (small stem).
        """
        # Sizes are only known when a network runs; while it is exported they may be left open.
        if self.stem == "small" and paddle.in_dynamic_mode() and min(images.shape[2:]) < SMALLEST_SIDE:
            height, width = images.shape[2:]
            raise UserError(
                f"images of {height}x{width} px are too small: the network needs {SMALLEST_SIDE} px on a side"
            )
        features = F.relu(self.bn1(self.conv1(images)))
        if self.stem == "imagenet":
            features = self.maxpool(features)
        stage1 = self.layer1(features)
        stage2 = self.layer2(stage1)
        stage3 = self.layer3(stage2)
        stage4 = self.layer4(stage3)
        return [stage1, stage2, stage3, stage4]

    def classify(self, last_stage: paddle.Tensor) -> paddle.Tensor:
        """Last stage's features [N, C, H, W] -> logits [N, num_classes]."""
        return self.fc(F.adaptive_avg_pool2d(last_stage, 1).flatten(1))

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """images [N, 3, H, W] -> logits [N, num_classes]."""
        return self.classify(self.stage_features(images)[-1])


def _stage(block, depth: int, in_channels: int, planes: int, stride: int) -> nn.Sequential:
    """`depth` blocks, of which the first changes the size and the channels."""
    out_channels = planes * block.expansion
    downsample = None
    if stride != 1 or in_channels != out_channels:
        downsample = nn.Sequential(
            nn.Conv2D(in_channels, out_channels, 1, stride=stride, bias_attr=False),
            nn.BatchNorm2D(out_channels),
        )
    first = block(in_channels, planes, stride, downsample)
    return nn.Sequential(first, *[block(out_channels, planes) for _ in range(depth - 1)])
