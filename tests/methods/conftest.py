"""Narrow networks and eight images in several views, for the methods of one file each."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from ppcds.models import Encoder, ProjectionHead, build_backbone
from ppcds.runtime import seed_step


@pytest.fixture
def make_encoder():
    """Function of a seed: ResNet-18 of width 4 without classifier, under an MLP head of 8 outputs."""

    def make(seed=0):
        seed_step(seed)
        backbone = build_backbone("resnet18", num_classes=0, width=4)
        return Encoder(backbone, ProjectionHead(backbone.feature_dim, [16, 8], "hidden"))

    return make


@pytest.fixture
def make_classifier():
    """Function of a seed and a number of classes: ResNet-18 of width 4."""

    def make(seed=0, num_classes=4):
        seed_step(seed)
        return build_backbone("resnet18", num_classes, width=4)

    return make


@pytest.fixture
def make_views():
    """Function of a number of views: as many noisy versions of the same eight images of 32x32 px."""

    def make(num_views, seed=0):
        random = np.random.RandomState(seed)
        images = random.randn(8, 3, 32, 32)
        noisy = [images + 0.3 * random.randn(*images.shape) for _ in range(num_views)]
        return [paddle.to_tensor(view.astype("float32")) for view in noisy]

    return make


@pytest.fixture
def labels():
    return paddle.to_tensor([0, 1, 2, 3, 0, 1, 2, 3])


@pytest.fixture
def arrays():
    """Function of a layer: its weights and buffers as arrays of their own."""
    return lambda layer: {name: value.numpy().copy() for name, value in layer.state_dict().items()}
