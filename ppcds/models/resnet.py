"""ResNet with stage features (He et al. 2016, arXiv:1512.03385), laid out and named as torchvision's."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.vision.models.resnet import BasicBlock, BottleneckBlock

from ppcds.models.backbone import Backbone
from ppcds.models.initialise import initialise


class ResNet(Backbone):
    """Four stages of residual blocks.

    block: BasicBlock, BottleneckBlock (stride in its 3x3, as torchvision) or one of blocks.py.
    depths: blocks of each stage.  width: channels of the first stage before the block's expansion.
    stem: "small", a 3x3 convolution that keeps the size, or "imagenet", 7x7 stride 2 and 3x3 max pooling.
    resnet_d: the variant of He et al. 2018 (arXiv:1812.01187) that SimCLR v2 combines with selective kernels:
    three 3x3 convolutions instead of the 7x7, and shortcuts that average before they project.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[BottleneckBlock],
        depths: Sequence[int],
        num_classes: int = 10,
        width: int = 64,
        stem: str = "small",
        resnet_d: bool = False,
    ):
        super().__init__(num_classes, stem)
        self.stage_channels = [width * factor * block.expansion for factor in (1, 2, 4, 8)]
        self.feature_dim = self.stage_channels[3]

        if stem == "small":
            self.conv1 = nn.Conv2D(3, width, 3, stride=1, padding=1, bias_attr=False)
        else:
            if resnet_d:
                self.conv1 = _three_convolutions(width)
            else:
                self.conv1 = nn.Conv2D(3, width, 7, stride=2, padding=3, bias_attr=False)
            self.maxpool = nn.MaxPool2D(3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2D(width)
        c1, c2, c3, _ = self.stage_channels
        self.layer1 = _stage(block, depths[0], width, width, 1, resnet_d)
        self.layer2 = _stage(block, depths[1], c1, width * 2, 2, resnet_d)
        self.layer3 = _stage(block, depths[2], c2, width * 4, 2, resnet_d)
        self.layer4 = _stage(block, depths[3], c3, width * 8, 2, resnet_d)
        self.fc = nn.Linear(self.feature_dim, num_classes) if num_classes else None
        initialise(self)

    def enter(self, images: paddle.Tensor) -> paddle.Tensor:
        features = F.relu(self.bn1(self.conv1(images)))
        return self.maxpool(features) if self.stem == "imagenet" else features

    def stage(self, number: int, features: paddle.Tensor) -> paddle.Tensor:
        """With the small stem the sides of stage i are those of the image / 2**(i - 1)."""
        return (self.layer1, self.layer2, self.layer3, self.layer4)[number - 1](features)


def _three_convolutions(width: int) -> nn.Sequential:
    """ResNet-D's stem up to its last batch norm, which is `bn1`."""
    half = width // 2
    return nn.Sequential(
        nn.Conv2D(3, half, 3, stride=2, padding=1, bias_attr=False),
        nn.BatchNorm2D(half),
        nn.ReLU(),
        nn.Conv2D(half, half, 3, stride=1, padding=1, bias_attr=False),
        nn.BatchNorm2D(half),
        nn.ReLU(),
        nn.Conv2D(half, width, 3, stride=1, padding=1, bias_attr=False),
    )


def _stage(block, depth: int, in_channels: int, planes: int, stride: int, resnet_d: bool) -> nn.Sequential:
    """`depth` blocks, of which the first changes the size and the channels."""
    out_channels = planes * block.expansion
    shortcut = None
    if resnet_d:
        # SimCLR's code averages at stride 1 too; at odd sizes the last window is smaller, not zero-padded.
        shortcut = nn.Sequential(
            nn.AvgPool2D(2, stride=stride, padding="SAME"),
            nn.Conv2D(in_channels, out_channels, 1, bias_attr=False),
            nn.BatchNorm2D(out_channels),
        )
    elif stride != 1 or in_channels != out_channels:
        shortcut = nn.Sequential(
            nn.Conv2D(in_channels, out_channels, 1, stride=stride, bias_attr=False),
            nn.BatchNorm2D(out_channels),
        )
    first = block(in_channels, planes, stride, shortcut)
    return nn.Sequential(first, *[block(out_channels, planes) for _ in range(depth - 1)])
