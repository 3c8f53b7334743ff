"""Projection heads of Contrastive Deep Supervision: one beside each stage, for training only."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn


class SepConv(nn.Layer):
    """Two depthwise separable convolutions; the first halves the size, the second sets the channels.

    [N, in, H, W] -> [N, out, H/2, W/2].  Both pairs are depthwise 3x3, pointwise 1x1, BN, ReLU, no biases.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.op = nn.Sequential(
            nn.Conv2D(in_channels, in_channels, 3, stride=2, padding=1, groups=in_channels, bias_attr=False),
            nn.Conv2D(in_channels, in_channels, 1, bias_attr=False),
            nn.BatchNorm2D(in_channels),
            nn.ReLU(),
            nn.Conv2D(in_channels, in_channels, 3, stride=1, padding=1, groups=in_channels, bias_attr=False),
            nn.Conv2D(in_channels, out_channels, 1, bias_attr=False),
            nn.BatchNorm2D(out_channels),
            nn.ReLU(),
        )

    def forward(self, features: paddle.Tensor) -> paddle.Tensor:
        return self.op(features)


class StageHead(nn.Layer):
    """Brings a stage to the last stage's size and channels, then averages it to one embedding an image.

    in_channels: the stage's.  num_blocks: SepConv blocks, each halving the size and doubling the channels.
    [N, in, H, W] -> [N, in * 2**num_blocks], rows of length 1.
    """

    def __init__(self, in_channels: int, num_blocks: int):
        super().__init__()
        channels = [in_channels * 2**i for i in range(num_blocks + 1)]
        self.blocks = nn.Sequential(*[SepConv(channels[i], channels[i + 1]) for i in range(num_blocks)])

    def forward(self, features: paddle.Tensor) -> paddle.Tensor:
        # The published AvgPool2D(4, 4) is this at 32x32; at other sizes it would leave a map, not one vector.
        pooled = F.adaptive_avg_pool2d(self.blocks(features), 1).flatten(1)
        return F.normalize(pooled, axis=1)
