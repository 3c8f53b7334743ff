from __future__ import annotations

import math

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcds.models import build_backbone


@pytest.mark.parametrize("stem, sides", [("small", (64, 32, 16, 8)), ("imagenet", (16, 8, 4, 2))])
def test_stages_halve_the_size_and_double_the_channels(stem, sides):
    net = build_backbone("resnet50", num_classes=3, width=4, stem=stem)
    stages = net.stage_features(paddle.randn([2, 3, 64, 64]))
    assert net.stage_channels == [16, 32, 64, 128]
    assert [s.shape for s in stages] == [[2, c, n, n] for c, n in zip(net.stage_channels, sides)]
    assert net.classify(stages[-1]).shape == [2, net.num_classes] == [2, 3]


def test_images_under_32_pixels_are_refused_and_32_accepted():
    net = build_backbone("resnet18", width=4)
    for height, width in ((31, 64), (64, 31), (16, 16)):
        with pytest.raises(ValueError, match="32 px"):
            net(paddle.randn([1, 3, height, width]))
    assert net(paddle.randn([1, 3, 32, 32])).shape == [1, 10]


def test_forward_classifies_the_last_stage():
    net = build_backbone("resnet18", width=4)
    net.eval()
    images = paddle.randn([2, 3, 40, 32])
    expected = (
        net.stage_features(images)[-1].numpy().mean((2, 3)) @ net.fc.weight.numpy() + net.fc.bias.numpy()
    )
    np.testing.assert_allclose(net(images).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_weights_start_as_in_the_official_code():
    paddle.seed(0)
    net = build_backbone("resnet18", width=64)
    for layer in net.sublayers():
        if isinstance(layer, nn.Conv2D):
            fan_out = layer.weight.shape[0] * layer.weight.shape[2] * layer.weight.shape[3]
            assert float(layer.weight.std()) == pytest.approx(math.sqrt(2 / fan_out), rel=0.05)
            assert layer.bias is None
        elif isinstance(layer, nn.BatchNorm2D):
            assert float(layer.weight.min()) == float(layer.weight.max()) == 1
            assert float(layer.bias.abs().max()) == 0
    bound = 1 / math.sqrt(512)
    assert 0.98 * bound < float(net.fc.weight.abs().max()) <= bound
    assert 0.3 * bound < float(net.fc.bias.abs().max()) <= bound


def test_the_same_seed_gives_the_same_weights():
    nets = []
    for seed in (1, 1, 2):
        paddle.seed(seed)
        nets.append(build_backbone("resnet18", width=4))
    first, same, other = (net.conv1.weight.numpy() for net in nets)
    assert (first == same).all() and (first != other).any()
