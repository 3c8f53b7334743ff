"""Maps as [N, H, W, C], the memory order that the tensor cores of a GPU take without reordering."""

from __future__ import annotations

from paddle import nn

from ppcds.models.backbone import Backbone
from ppcds.models.blocks import SelectiveKernel


def set_channels_last(backbone: Backbone) -> None:
    """Let the stages work on maps [N, H, W, C]; weights, images and what the stages give stay as they are.

    The layers have a constructor's argument for it, which those of paddle.vision's blocks do not pass on.
    """
    backbone.channels_last = True
    for layer in backbone.sublayers():
        if isinstance(layer, (nn.Conv2D, nn.BatchNorm2D, nn.AdaptiveAvgPool2D)):
            layer._data_format = "NHWC"
        if isinstance(layer, nn.Conv2D):
            layer._channel_dim = 3
        if isinstance(layer, (nn.MaxPool2D, nn.AvgPool2D, SelectiveKernel)):
            layer.data_format = "NHWC"
