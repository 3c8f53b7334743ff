"""Backbones with stage features, projection heads, the CDS network and the conversion of weights."""

from __future__ import annotations

from ppcds.models.backbone import Backbone
from ppcds.models.build import BACKBONES, build_backbone, build_encoder, build_network
from ppcds.models.cds_network import CDSNetwork
from ppcds.models.convert import load_torch_state_dict
from ppcds.models.deep_supervision import DeepSupervisionNetwork
from ppcds.models.encoder import Encoder
from ppcds.models.headed import HeadedClassifier
from ppcds.models.heads import SepConv, StageHead
from ppcds.models.pretrained import load_pretrained
from ppcds.models.projection import ProjectionHead
from ppcds.models.resnet import ResNet


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
    "Backbone",
    "CDSNetwork",
    "DeepSupervisionNetwork",
    "Encoder",
    "HeadedClassifier",
    "ProjectionHead",
    "ResNet",
    "SepConv",
    "StageHead",
    "build_backbone",
    "build_encoder",
    "build_network",
    "load_pretrained",
    "load_torch_state_dict",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
]
