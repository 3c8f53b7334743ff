"""From a recipe's model section to its network."""

from __future__ import annotations

from functools import partial

from paddle import nn
from paddle.vision.models import MobileNetV3Large, MobileNetV3Small
from paddle.vision.models.resnet import BasicBlock, BottleneckBlock

from ppcds.errors import UserError
from ppcds.models.backbone import Backbone
from ppcds.models.blocks import ResNeXtBlock, SelectiveKernelBlock, WideBlock
from ppcds.models.channels_last import set_channels_last
from ppcds.models.conv4 import Conv4
from ppcds.models.encoder import Encoder
from ppcds.models.headed import HeadedClassifier
from ppcds.models.mobilenet import MobileNetV3
from ppcds.models.projection import ProjectionHead
from ppcds.models.resnet import ResNet

# name -> function of (num_classes, width, stem) that returns the bare backbone; conv4 takes the size too
BACKBONES = {
    "resnet18": partial(ResNet, BasicBlock, (2, 2, 2, 2)),
    "resnet34": partial(ResNet, BasicBlock, (3, 4, 6, 3)),
    "resnet50": partial(ResNet, BottleneckBlock, (3, 4, 6, 3)),
    "resnet101": partial(ResNet, BottleneckBlock, (3, 4, 23, 3)),
    "resnet152": partial(ResNet, BottleneckBlock, (3, 8, 36, 3)),
    "resnext50_32x4d": partial(ResNet, ResNeXtBlock, (3, 4, 6, 3)),
    "resnext101_32x4d": partial(ResNet, ResNeXtBlock, (3, 4, 23, 3)),
    "wide_resnet50_2": partial(ResNet, WideBlock, (3, 4, 6, 3)),
    "wide_resnet101_2": partial(ResNet, WideBlock, (3, 4, 23, 3)),
    "resnet50_sk": partial(ResNet, SelectiveKernelBlock, (3, 4, 6, 3), resnet_d=True),
    "resnet101_sk": partial(ResNet, SelectiveKernelBlock, (3, 4, 23, 3), resnet_d=True),
    "resnet152_sk": partial(ResNet, SelectiveKernelBlock, (3, 8, 36, 3), resnet_d=True),
    "mobilenet_v3_small": partial(MobileNetV3, MobileNetV3Small),
    "mobilenet_v3_large": partial(MobileNetV3, MobileNetV3Large),
    "conv4": Conv4,
}


def build_backbone(
    name: str,
    num_classes: int = 10,
    width: int = 64,
    stem: str = "small",
    size: tuple[int, int] | None = None,
) -> Backbone:
    """The backbone called `name`, without heads.

    num_classes: 0 leaves the classifier out.  size: height and width of the images, which conv4 has to know.
    Raises UserError for a name that is not in BACKBONES and for what that backbone cannot be.
    """
    if name not in BACKBONES:
        raise UserError(f"unknown backbone {name!r}: use one of {', '.join(BACKBONES)}")
    if name == "conv4":
        return Conv4(num_classes, width, stem, size)
    return BACKBONES[name](num_classes, width, stem)


def build_network(model, num_classes: int, size: tuple[int, int]) -> nn.Layer:
    """What a recipe with this model section deploys: images -> logits.

    The bare backbone, or with model.from_head_layer a HeadedClassifier.  size: data.size, height and width.
    Raises UserError naming the key.
    """
    kept = model.from_head_layer
    if not kept:
        return _backbone(model, num_classes, size)
    layers = len(model.head.widths) if model.head else 0
    if not 0 < kept <= layers:
        raise UserError(f"model.from_head_layer: {kept} of the {layers} layers that model.head has")
    backbone = _backbone(model, 0, size)
    projection = ProjectionHead(backbone.feature_dim, model.head.widths, model.head.batch_norm, depth=kept)
    return HeadedClassifier(backbone, projection, num_classes)


def build_encoder(model, size: tuple[int, int]) -> Encoder:
    """The backbone without classifier and the projection head of a recipe's model section.

    Raises UserError without model.head.
    """
    if model.head is None:
        raise UserError("model.head: this method needs a projection head, for instance {widths: [512, 128]}")
    backbone = _backbone(model, 0, size)
    return Encoder(backbone, ProjectionHead(backbone.feature_dim, model.head.widths, model.head.batch_norm))


def _backbone(model, num_classes: int, size: tuple[int, int]) -> Backbone:
    """The backbone of a recipe's model section, with what the section says of its memory."""
    backbone = build_backbone(model.name, num_classes, model.width, model.stem, size)
    if model.recompute and model.name == "conv4":
        raise UserError("model.recompute: a stage of conv4 is one convolution, with nothing inside: use []")
    backbone.recomputed = tuple(model.recompute)
    if model.channels_last:
        set_channels_last(backbone)
    return backbone
