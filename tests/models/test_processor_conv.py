"""Convolutions by oneDNN are those of Paddle's own kernels."""

from __future__ import annotations

import copy

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.distributed.fleet.utils import recompute

import ppcds.models.processor_conv as processor_conv
from ppcds.models import CDSNetwork, build_backbone
from ppcds.models.processor_conv import ProcessorConv2D, onednn_trains, use_onednn

if not onednn_trains():  # Paddle 2
    pytest.skip("this Paddle does not train with oneDNN", allow_module_level=True)


@pytest.fixture(autouse=True)
def small_inputs_too(monkeypatch):
    monkeypatch.setattr(processor_conv, "SMALLEST_INPUT", 0)


def both_ways(layer, images):
    """[features, gradient of the images, gradients of the parameters] by Paddle's kernels and by oneDNN."""
    found = []
    for network in (layer, use_onednn(copy.deepcopy(layer))):
        network.train()
        inputs = paddle.to_tensor(images, stop_gradient=False)
        outputs = network(inputs)
        gradient = np.random.RandomState(1).randn(*outputs.shape).astype("float32")
        paddle.autograd.backward([outputs], [paddle.to_tensor(gradient)])
        tensors = [outputs, inputs.grad, *[p.grad for p in network.parameters() if not p.stop_gradient]]
        found.append([tensor.numpy() for tensor in tensors])
    return found


def assert_close(found):
    for plain, by_onednn in zip(*found):
        np.testing.assert_allclose(by_onednn, plain, rtol=1e-4, atol=1e-4 * np.abs(plain).max())


SHAPES = {
    "3x3": (16, 32, 3, 1, 1, 1),
    "stride 2, odd size": (8, 12, 3, 2, 1, 1),
    "depthwise": (16, 16, 3, 1, 1, 16),
    "depthwise of stride 2": (16, 16, 3, 2, 1, 16),
    "groups": (16, 32, 3, 1, 1, 4),
    "stem of ImageNet": (3, 8, 7, 2, 3, 1),
    "no padding": (3, 8, 3, 2, 0, 1),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("bias", [False, None])
def test_features_and_gradients_are_those_of_paddles_kernels(shape, bias):
    in_channels, out_channels, kernel, stride, padding, groups = shape
    layer = nn.Conv2D(
        in_channels, out_channels, kernel, stride, padding, groups=groups, bias_attr=bias
    )  # fmt: skip
    images = np.random.RandomState(0).randn(3, in_channels, 17, 23).astype("float32")
    found = both_ways(layer, images)
    assert_close(found)
    assert any((one != other).any() for one, other in zip(*found))  # it was another kernel


def test_a_network_with_heads_has_the_same_gradients(monkeypatch):
    """With a smooth activation: of a ReLU, rounding may switch a unit off or on."""
    monkeypatch.setattr("paddle.nn.functional.relu", paddle.tanh)
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, features: paddle.tanh(features))

    class Summed(nn.Layer):
        def __init__(self):
            super().__init__()
            self.network = CDSNetwork(build_backbone("resnet18", width=8))

        def forward(self, images):
            logits, embeddings = self.network(images)
            return paddle.concat([logits, *embeddings], axis=1)

    assert_close(both_ways(Summed(), np.random.RandomState(0).randn(4, 3, 32, 32).astype("float32")))


def test_weights_that_have_moved_count_in_the_next_call_with_gradients_and_without():
    layer = use_onednn(nn.Conv2D(4, 4, 3, padding=1))
    images = paddle.randn([2, 4, 8, 8])
    layer(images)
    with paddle.no_grad():
        layer(images)
        layer.weight.set_value(2 * layer.weight)
        expected = nn.Conv2D.forward(layer, images).numpy()
        np.testing.assert_allclose(layer(images).numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(layer(images).numpy(), expected, atol=1e-5)


def test_two_calls_before_a_backward_keep_what_each_needs():
    layer = use_onednn(nn.Conv2D(4, 4, 3, padding=1, bias_attr=False))
    first, second = paddle.randn([2, 4, 8, 8]), paddle.randn([2, 4, 8, 8])
    (layer(first).sum() + 3 * layer(second).sum()).backward()
    both = layer.weight.grad.numpy()
    layer.clear_gradients()
    nn.Conv2D.forward(layer, first + 3 * second).sum().backward()
    np.testing.assert_allclose(both, layer.weight.grad.numpy(), rtol=1e-4, atol=1e-4)


def test_memory_of_earlier_batch_sizes_is_let_go_and_gradients_still_to_come_are_right(monkeypatch):
    core, times = paddle.base.core, []
    clear = core.clear_executor_cache
    monkeypatch.setattr(core, "clear_executor_cache", lambda: (times.append(1), clear()))
    layer = use_onednn(nn.Conv2D(4, 4, 3, bias_attr=False))
    times.clear()
    batches = [paddle.randn([rows, 4, 8, 8]) for rows in (1, 2, 3, 4, 1, 5, 6, 7, 8, 9)]
    sum(layer(images).sum() for images in batches).backward()
    assert len(times) == 2  # at 5 and at 9
    found = layer.weight.grad.numpy()
    layer.clear_gradients()
    nn.Conv2D.forward(layer, paddle.concat(batches)).sum().backward()
    np.testing.assert_allclose(found, layer.weight.grad.numpy(), rtol=1e-4, atol=1e-3)


def test_recomputed_stages_and_frozen_weights_work():
    images = paddle.randn([2, 4, 8, 8])
    images.stop_gradient = False
    layer = use_onednn(nn.Sequential(nn.Conv2D(4, 4, 3), nn.Conv2D(4, 4, 3)))
    recompute(layer, images).sum().backward()
    again = images.grad.numpy()
    images.clear_gradient()
    layer[0].weight.stop_gradient = True
    layer(images).sum().backward()
    np.testing.assert_allclose(images.grad.numpy(), again, rtol=1e-5, atol=1e-6)


def test_names_stay_and_what_onednn_cannot_do_is_left_to_paddle():
    network = build_backbone("resnet18", width=4)
    names = list(network.state_dict())
    use_onednn(network)
    assert list(network.state_dict()) == names and type(network.conv1) is ProcessorConv2D
    for layer in (nn.Conv2D(3, 4, 3, padding_mode="reflect"), nn.Conv2D(3, 4, 1)):
        assert type(use_onednn(layer)) is nn.Conv2D
    paddle.set_default_dtype("float64")
    double = use_onednn(nn.Conv2D(4, 4, 3))
    paddle.set_default_dtype("float32")
    assert double(paddle.ones([1, 4, 8, 8], dtype="float64")).dtype == paddle.float64


def test_small_inputs_are_left_to_paddle(monkeypatch):
    monkeypatch.setattr(processor_conv, "SMALLEST_INPUT", 10**6)
    monkeypatch.setattr(processor_conv, "_compiled", None)
    use_onednn(nn.Conv2D(4, 4, 3))(paddle.randn([1, 4, 8, 8]))


def test_a_network_is_exported_as_any_other(tmp_path):
    network = use_onednn(build_backbone("resnet18", width=4))
    network.eval()
    images = paddle.randn([2, 3, 32, 32])
    spec = [paddle.static.InputSpec([None, 3, 32, 32], "float32")]
    paddle.jit.save(network, str(tmp_path / "network"), input_spec=spec)
    exported = paddle.jit.load(str(tmp_path / "network"))
    np.testing.assert_allclose(exported(images).numpy(), network(images).numpy(), atol=1e-4)
