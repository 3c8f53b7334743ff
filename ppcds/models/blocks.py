"""Bottleneck blocks beside the plain one: grouped, wide, and with selective kernels."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.vision.models.resnet import BottleneckBlock

from ppcds.errors import UserError


class ResNeXtBlock(BottleneckBlock):
    """32 groups of 4 channels in the first stage of 64: the 32x4d of Xie et al. 2017 (arXiv:1611.05431)."""

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Layer | None = None):
        if planes % 16:
            raise UserError(
                "model.width: a ResNeXt 32x4d has groups of width / 16 channels: use 16, 32, 48, ..."
            )
        super().__init__(inplanes, planes, stride, downsample, groups=32, base_width=4)


class WideBlock(BottleneckBlock):
    """Twice the channels inside, the same outside (Zagoruyko & Komodakis 2016, arXiv:1605.07146)."""

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Layer | None = None):
        super().__init__(inplanes, planes, stride, downsample, base_width=128)


class SelectiveKernel(nn.Layer):
    """Two 3x3 convolutions, mixed channel by channel with weights that the image decides.

    [N, in, H, W] -> [N, channels, H/stride, W/stride].  Li et al. 2019 (arXiv:1903.06586) as in SimCLR v2:
    both kernels are 3x3, channels / 16 hidden units (32 at least) decide (SK_Conv2D of its tf2/resnet.py).
    """

    def __init__(self, in_channels: int, channels: int, stride: int):
        super().__init__()
        hidden = max(channels // 16, 32)
        self.conv = nn.Conv2D(in_channels, 2 * channels, 3, stride=stride, padding=1, bias_attr=False)
        self.bn = nn.BatchNorm2D(2 * channels)
        self.squeeze = nn.Conv2D(channels, hidden, 1, bias_attr=False)
        self.squeeze_bn = nn.BatchNorm2D(hidden)
        self.mix = nn.Conv2D(hidden, 2 * channels, 1, bias_attr=False)
        self.data_format = "NCHW"

    def forward(self, features: paddle.Tensor) -> paddle.Tensor:
        channels = self.data_format.index("C")
        first, second = paddle.split(F.relu(self.bn(self.conv(features))), 2, axis=channels)
        summary = F.adaptive_avg_pool2d(first + second, 1, self.data_format)
        logits = self.mix(F.relu(self.squeeze_bn(self.squeeze(summary))))
        first_logit, second_logit = paddle.split(logits, 2, axis=channels)
        share = F.sigmoid(first_logit - second_logit)  # a softmax over two
        return share * first + (1 - share) * second


class SelectiveKernelBlock(BottleneckBlock):
    """A bottleneck block whose 3x3 convolution is a selective kernel."""

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Layer | None = None):
        super().__init__(inplanes, planes, stride, downsample)
        self.conv2 = SelectiveKernel(planes, planes, stride)
        self.bn2 = nn.Identity()  # the selective kernel normalises before it mixes
