from __future__ import annotations

import math

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcds.errors import UserError
from ppcds.models import BACKBONES, build_backbone

PARAMETERS = {  # torchvision's published counts, 1000 classes, ImageNet stem
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}


@pytest.mark.parametrize("name", list(BACKBONES))
def test_every_backbone_has_the_published_number_of_parameters(name):
    with paddle.LazyGuard():  # shapes only, nothing is drawn
        net = build_backbone(name, num_classes=1000, stem="imagenet")
    assert sum(math.prod(p.shape) for p in net.parameters() if not p.stop_gradient) == PARAMETERS[name]


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


def test_unknown_backbones_and_stems_are_named():
    with pytest.raises(UserError, match="resnet19.*resnet18"):
        build_backbone("resnet19")
    with pytest.raises(UserError, match="tiny"):
        build_backbone("resnet18", stem="tiny")


def test_a_backbone_can_be_exported_with_open_sizes(tmp_path):
    net = build_backbone("resnet18", width=4)
    net.eval()
    images = paddle.randn([3, 3, 48, 64])
    expected = net(images).numpy()
    spec = [paddle.static.InputSpec([None, 3, None, None], "float32", "images")]
    paddle.jit.save(net, str(tmp_path / "net"), input_spec=spec)
    loaded = paddle.jit.load(str(tmp_path / "net"))
    np.testing.assert_allclose(loaded(images).numpy(), expected, rtol=1e-4, atol=1e-5)
