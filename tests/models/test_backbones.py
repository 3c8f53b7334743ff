from __future__ import annotations

import math

import numpy as np
import paddle
import pytest

from ppcds.errors import UserError
from ppcds.models import BACKBONES, build_backbone

PARAMETERS = {  # torchvision's published counts (timm's of resnext101_32x4d): 1000 classes, ImageNet stem
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x4d": 44_177_704,
    "wide_resnet50_2": 68_883_240,
    "wide_resnet101_2": 126_886_696,
    "mobilenet_v3_small": 2_542_856,
    "mobilenet_v3_large": 5_483_032,
}
SELECTIVE_KERNELS = {  # millions without classifier, by width multiplier: SimCLR v2, table 1
    ("resnet50_sk", 1): 35,
    ("resnet101_sk", 1): 65,
    ("resnet152_sk", 1): 89,
    ("resnet50_sk", 2): 140,
    ("resnet101_sk", 2): 257,
    ("resnet152_sk", 2): 354,
    ("resnet152_sk", 3): 795,
}
NARROW = {name: 16 if name.startswith("resnext") else 4 for name in BACKBONES}
SHALLOW = [name for name in BACKBONES if "101" not in name and "152" not in name]


def narrow(name, num_classes=3, stem="small", size=(32, 32)):
    return build_backbone(name, num_classes, NARROW[name], stem, size)


def trained(net):
    return sum(math.prod(p.shape) for p in net.parameters() if not p.stop_gradient)


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_backbones_have_the_published_number_of_parameters(name):
    with paddle.LazyGuard():  # shapes only, nothing is drawn
        net = build_backbone(name, num_classes=1000, stem="imagenet")
    assert trained(net) == PARAMETERS[name]


@pytest.mark.parametrize("name, multiplier", list(SELECTIVE_KERNELS))
def test_selective_kernels_have_the_published_number_of_parameters(name, multiplier):
    with paddle.LazyGuard():
        net = build_backbone(name, num_classes=0, width=64 * multiplier, stem="imagenet")
    assert trained(net) / 1e6 == pytest.approx(SELECTIVE_KERNELS[name, multiplier], abs=0.7)


def test_every_backbone_is_in_a_table_of_published_counts_or_is_counted_by_hand():
    assert set(BACKBONES) == {*PARAMETERS, *(name for name, _ in SELECTIVE_KERNELS), "conv4"}
    net = build_backbone("conv4", num_classes=10, width=128, size=(96, 96))  # 96 -> 47 -> 23 -> 11 -> 5
    convolutions = (3 * 9 + 1) * 128 + 3 * (128 * 9 + 1) * 128
    assert trained(net) == convolutions + (5 * 5 * 128 + 1) * 128 + (128 + 1) * 10


@pytest.mark.parametrize("stem", ["small", "imagenet"])
@pytest.mark.parametrize("name", SHALLOW)
def test_every_backbone_keeps_the_contract(name, stem):
    if (name, stem) == ("conv4", "imagenet"):
        return
    net = narrow(name, stem=stem)
    net.eval()
    images = paddle.randn([2, 3, 32, 32])
    stages = net.stage_features(images)
    assert [s.shape[:2] for s in stages] == [[2, c] for c in net.stage_channels]
    features = net.features(stages[-1])
    assert features.shape == [2, net.feature_dim]
    logits = features @ net.fc.weight + net.fc.bias
    for ours in (net.classify(stages[-1]), net(images)):
        np.testing.assert_allclose(ours.numpy(), logits.numpy(), rtol=1e-4, atol=1e-5)
    assert net.num_classes == 3


@pytest.mark.parametrize("name", SHALLOW)
def test_without_classes_there_is_no_classifier_and_forward_gives_features(name):
    classifier, net = narrow(name), narrow(name, num_classes=0)
    net.eval()
    assert net.fc is None and net.num_classes == 0
    others = [n for n in classifier.state_dict() if not n.startswith("fc.")]
    assert list(net.state_dict()) == others
    assert net(paddle.randn([2, 3, 32, 32])).shape == [2, net.feature_dim]


@pytest.mark.parametrize("name", SHALLOW)
def test_gradients_reach_every_parameter(name):
    net = narrow(name)
    net(paddle.randn([8, 3, 32, 32])).square().sum().backward()
    without = [n for n, p in net.named_parameters() if not p.stop_gradient and p.grad is None]
    assert without == []
    first = next(iter(net.parameters()))
    assert float(first.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", ["resnet18", "resnet50_sk", "mobilenet_v3_small"])
def test_a_backbone_can_be_exported_with_open_sizes(name, tmp_path):
    net = build_backbone(name, width=4)
    net.eval()
    images = paddle.randn([3, 3, 48, 65])
    expected = net(images).numpy()
    spec = [paddle.static.InputSpec([None, 3, None, None], "float32", "images")]
    paddle.jit.save(net, str(tmp_path / "net"), input_spec=spec)
    loaded = paddle.jit.load(str(tmp_path / "net"))
    np.testing.assert_allclose(loaded(images).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_unknown_backbones_and_stems_are_named():
    with pytest.raises(UserError, match="resnet19.*resnet18"):
        build_backbone("resnet19")
    for name in ("resnet18", "mobilenet_v3_small", "conv4"):
        with pytest.raises(UserError, match="tiny"):
            build_backbone(name, stem="tiny", size=(32, 32))


def test_a_resnext_that_is_too_narrow_for_its_groups_is_refused():
    with pytest.raises(UserError, match=r"model\.width.*16, 32"):
        build_backbone("resnext50_32x4d", width=24)


def test_the_images_size_reaches_conv4_and_no_other():
    with pytest.raises(UserError, match=r"data\.size"):
        build_backbone("conv4", width=4)
    with pytest.raises(UserError, match="30x64 px.*31 px"):
        build_backbone("conv4", width=4, size=(30, 64))
    net = build_backbone("conv4", width=4, size=(31, 64))
    assert net(paddle.randn([2, 3, 31, 64])).shape == [2, 10]
    with pytest.raises(UserError, match="images of 64x31 px in a conv4 built for 31x64 px"):
        net(paddle.randn([2, 3, 64, 31]))


def test_conv4_starts_as_keras_does():
    paddle.seed(0)
    net = build_backbone("conv4", width=32, size=(48, 48))
    bound = math.sqrt(6 / (9 * 32 + 9 * 32))
    weights = net.convolutions[1].weight
    assert 0.97 * bound < float(weights.abs().max()) <= bound
    assert float(weights.std()) == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert all(float(p.abs().max()) == 0 for n, p in net.named_parameters() if n.endswith("bias"))


def test_mobilenets_stages_lie_at_a_quarter_to_a_thirty_second_of_the_image():
    for name in ("mobilenet_v3_small", "mobilenet_v3_large"):
        for stem, sides in (("imagenet", (16, 8, 4, 2)), ("small", (32, 16, 8, 4))):
            stages = narrow(name, stem=stem).stage_features(paddle.randn([1, 3, 64, 64]))
            assert tuple(s.shape[2] for s in stages) == sides


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v3_large"])
def test_mobilenet_computes_what_paddle_vision_computes(name):
    theirs = getattr(paddle.vision.models, name)(scale=0.125, num_classes=5)
    ours = build_backbone(name, num_classes=5, width=8, stem="imagenet")
    state = {}
    for key, value in theirs.state_dict().items():
        key = key.replace("classifier.0.", "hidden.").replace("classifier.3.", "fc.")
        state[key] = value
    assert state.keys() == ours.state_dict().keys()
    ours.set_state_dict(state)
    ours.eval(), theirs.eval()
    images = paddle.randn([2, 3, 64, 64])
    np.testing.assert_allclose(ours(images).numpy(), theirs(images).numpy(), rtol=1e-4, atol=1e-6)
