import math

import numpy as np
import paddle
import pytest

from ppcds.losses import cross_entropy, nt_xent_loss
from ppcds.methods.simclr_online_probe import SimCLROnlineProbe
from ppcds.models import build_backbone
from ppcds.runtime import seed_step
from ppcds.transforms.batched import BatchedAugmentation

SOME = BatchedAugmentation(min_area=0.9, brightness=0.1, jitter=0.1)
FLIP_ALONE = BatchedAugmentation(min_area=1, brightness=0, jitter=0)


@pytest.fixture
def method():
    seed_step(0)
    return SimCLROnlineProbe(build_backbone("conv4", 4, width=32, size=(32, 32)), SOME, FLIP_ALONE, (16, 8))


@pytest.fixture
def images():
    return paddle.to_tensor(np.random.RandomState(0).rand(8, 3, 32, 32).astype("float32"))


def test_the_parts_are_the_cross_view_contrast_of_all_images_and_the_probe_on_the_labelled(method, images):
    labels = paddle.to_tensor([3, -1, -1, 0, -1, -1, -1, -1])
    symmetric = (images + images.flip([3])) / 2  # a flip leaves it as it is
    method.contrastive = FLIP_ALONE
    parts = method([symmetric], labels)
    features = method.backbone.features(method.backbone.stage_features(symmetric)[-1])
    projections = method.projection(features)
    contrast = nt_xent_loss([projections, projections], method.temperature, negatives="cross")
    assert float(parts["contrastive"]) == pytest.approx(float(contrast), rel=1e-5)
    probe = cross_entropy(method.backbone.fc(features), labels)
    assert float(parts["probe"]) == pytest.approx(float(probe), rel=1e-5)


def test_the_probe_teaches_the_classifier_alone(method, images, labels):
    method([images], labels)["probe"].backward()
    reached = {n for n, p in method.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert reached == {"backbone.fc.weight", "backbone.fc.bias"}


def test_with_adam_the_contrast_falls_and_the_probe_learns(method, images, labels):
    optimizer = paddle.optimizer.Adam(2e-3, parameters=method.parameters())
    for step in range(200):
        seed_step(step)
        parts = method([images], labels)
        parts["loss"].backward()
        optimizer.step()
        optimizer.clear_grad()
    assert float(parts["contrastive"]) < 0.5 * math.log(8)
    assert float(parts["probe"]) < 0.85 * math.log(4)


def test_a_batch_without_labels_teaches_the_probe_nothing(method, images):
    parts = method([images], paddle.full([8], -1, dtype="int64"))
    assert float(parts["probe"]) == 0 and float(parts["contrastive"]) > 0
    parts["loss"].backward()
    assert float(method.backbone.fc.weight.grad.abs().max()) == 0
