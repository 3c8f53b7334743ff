"""What stands beside the stages while a network is trained: embeddings, or auxiliary classifiers."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F
from paddle import nn

from ppcds.models.projection import ProjectionHead


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


class PooledStage(nn.Layer):
    """Brings a stage to the last stage's size and channels, then averages it to one vector an image.

    channels: of the stage and of those after it; one SepConv for each step between two of them.
    `pool`: [N, channels[0], H, W] -> [N, channels[-1]].
    """

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        self.blocks = nn.Sequential(*[SepConv(*pair) for pair in zip(channels, channels[1:])])

    def pool(self, features: paddle.Tensor) -> paddle.Tensor:
        # The published AvgPool2D(4, 4) is this at 32x32; at other sizes it would leave a map, not one vector.
        return F.adaptive_avg_pool2d(self.blocks(features), 1).flatten(1)


class StageHead(PooledStage):
    """The projection head of Contrastive Deep Supervision: a pooled stage as rows of length 1.

    mlp: widths of a ProjectionHead between pooling and normalisation; None for none, as published.
    [N, channels[0], H, W] -> [N, mlp[-1] or channels[-1]].
    """

    def __init__(self, channels: Sequence[int], mlp: Sequence[int] | None = None):
        super().__init__(channels)
        self.mlp = ProjectionHead(channels[-1], mlp) if mlp else None

    def forward(self, features: paddle.Tensor) -> paddle.Tensor:
        pooled = self.pool(features)
        return F.normalize(pooled if self.mlp is None else self.mlp(pooled), axis=1)


class AuxiliaryClassifier(PooledStage):
    """Logits of a stage that is not the last: [N, channels[0], H, W] -> [N, num_classes]."""

    def __init__(self, channels: Sequence[int], num_classes: int):
        super().__init__(channels)
        self.fc = nn.Linear(channels[-1], num_classes)

    def forward(self, features: paddle.Tensor) -> paddle.Tensor:
        return self.fc(self.pool(features))
