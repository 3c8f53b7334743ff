from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from ppcds.models import build_backbone
from ppcds.models.blocks import SelectiveKernel


@pytest.mark.parametrize("stride, side", [(1, 6), (2, 3)])
def test_a_selective_kernel_is_a_softmax_mixture_of_two_convolutions(stride, side):
    layer = SelectiveKernel(5, 4, stride)
    layer.eval()
    features = paddle.randn([3, 5, 6, 6])
    mixed = layer(features)
    assert mixed.shape == [3, 4, side, side]

    both = F.relu(layer.bn(F.conv2d(features, layer.conv.weight, stride=stride, padding=1))).numpy()
    streams = np.stack([both[:, :4], both[:, 4:]])
    summary = paddle.to_tensor(streams.sum(0).mean((2, 3), keepdims=True))
    hidden = F.relu(layer.squeeze_bn(F.conv2d(summary, layer.squeeze.weight)))
    logits = F.conv2d(hidden, layer.mix.weight).numpy()
    logits = np.stack([logits[:, :4], logits[:, 4:]])
    share = np.exp(logits) / np.exp(logits).sum(0)
    np.testing.assert_allclose(mixed.numpy(), (share * streams).sum(0), rtol=1e-4, atol=1e-6)


def test_a_selective_kernel_has_a_sixteenth_of_its_channels_as_hidden_units_and_32_at_least():
    assert SelectiveKernel(8, 64, 1).squeeze.weight.shape[0] == 32
    assert SelectiveKernel(8, 1024, 1).squeeze.weight.shape[0] == 64


def test_resnet_d_averages_before_it_projects_a_shortcut():
    net = build_backbone("resnet50_sk", width=4, stem="imagenet")
    pool, projection, _ = net.layer2[0].downsample
    assert list(projection.weight.shape) == [32, 16, 1, 1]
    row = paddle.to_tensor([1.0, 3.0, 5.0, 7.0, 9.0]).reshape([1, 1, 1, 5])
    square = paddle.concat([row] * 4, axis=2)
    # The last window of an odd size holds one column, which is not averaged with zeros.
    assert pool(square).numpy()[0, 0].tolist() == [[2.0, 6.0, 9.0]] * 2
    unit_stride = net.layer1[0].downsample[0](square)
    assert unit_stride.numpy()[0, 0].tolist() == [[2.0, 4.0, 6.0, 8.0, 9.0]] * 4


def test_resnet_d_has_three_convolutions_in_the_imagenet_stem_and_one_in_the_small():
    names = list(build_backbone("resnet50_sk", width=4, stem="imagenet").state_dict())
    assert {"conv1.0.weight", "conv1.3.weight", "conv1.6.weight"} <= set(names)
    assert "conv1.weight" in build_backbone("resnet50_sk", width=4).state_dict()


def test_groups_and_width_inside_a_block():
    grouped = build_backbone("resnext50_32x4d", width=16).layer2[0].conv2
    assert grouped.weight.shape == [64, 2, 3, 3]  # 32 groups of 2 channels
    wide = build_backbone("wide_resnet50_2", width=4).layer1[0]
    assert wide.conv2.weight.shape == [8, 8, 3, 3]
    assert wide.conv3.weight.shape == [16, 8, 1, 1]
