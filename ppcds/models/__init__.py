"""Backbones with stage features, projection heads, the CDS network and the conversion of weights."""

from __future__ import annotations

from functools import partial

from paddle.vision.models.resnet import BasicBlock, BottleneckBlock

from ppcds.errors import UserError
from ppcds.models.cds_network import CDSNetwork
from ppcds.models.convert import load_torch_state_dict
from ppcds.models.heads import SepConv, StageHead
from ppcds.models.resnet import ResNet

# name -> function of (num_classes, width, stem) that returns the bare backbone
BACKBONES = {
    "resnet18": partial(ResNet, BasicBlock, (2, 2, 2, 2)),
    "resnet34": partial(ResNet, BasicBlock, (3, 4, 6, 3)),
    "resnet50": partial(ResNet, BottleneckBlock, (3, 4, 6, 3)),
    "resnet101": partial(ResNet, BottleneckBlock, (3, 4, 23, 3)),
    "resnet152": partial(ResNet, BottleneckBlock, (3, 8, 36, 3)),
}


def build_backbone(name: str, num_classes: int = 10, width: int = 64, stem: str = "small") -> ResNet:
    """The backbone called `name`, without heads.  Raises UserError for a name that is not in BACKBONES."""
    if name not in BACKBONES:
        raise UserError(f"unknown backbone {name!r}: use one of {', '.join(BACKBONES)}")
    return BACKBONES[name](num_classes, width, stem)


def resnet18(num_classes: int = 10, width: int = 64, stem: str = "small") -> CDSNetwork:
    """ResNet-18 with CDS heads: `net(images) -> (logits, embeddings)`, `net(images, False) -> logits`."""
    return CDSNetwork(build_backbone("resnet18", num_classes, width, stem))


def resnet34(num_classes: int = 10, width: int = 64, stem: str = "small") -> CDSNetwork:
    """ResNet-34 with CDS heads."""
    return CDSNetwork(build_backbone("resnet34", num_classes, width, stem))


def resnet50(num_classes: int = 10, width: int = 64, stem: str = "small") -> CDSNetwork:
    """ResNet-50 with CDS heads."""
    return CDSNetwork(build_backbone("resnet50", num_classes, width, stem))


def resnet101(num_classes: int = 10, width: int = 64, stem: str = "small") -> CDSNetwork:
    """ResNet-101 with CDS heads."""
    return CDSNetwork(build_backbone("resnet101", num_classes, width, stem))


def resnet152(num_classes: int = 10, width: int = 64, stem: str = "small") -> CDSNetwork:
    """ResNet-152 with CDS heads."""
    return CDSNetwork(build_backbone("resnet152", num_classes, width, stem))


__all__ = [
    "BACKBONES",
    "CDSNetwork",
    "ResNet",
    "SepConv",
    "StageHead",
    "build_backbone",
    "load_torch_state_dict",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
]
