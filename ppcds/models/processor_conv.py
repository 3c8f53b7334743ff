"""Convolutions by oneDNN while a network is trained on a processor.

Paddle's own CPU kernels unfold one image after the other (and of a depthwise layer one channel after the
other). oneDNN, which every CPU build carries, makes a whole training step about twice as fast, but Paddle
uses it in static programs only. So each kind of convolution is compiled into a static program of one
operation and its gradient, and called from the dynamic network. Same numbers within float32 rounding.
"""

from __future__ import annotations

import functools
import warnings

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.static import InputSpec

# Numbers in a layer's input below which a call costs more than it saves, and compiling it more still.
SMALLEST_INPUT = 2**16
# Different numbers of images, each of which Paddle keeps a step's memory for until it is told to let go.
MOST_BATCH_SIZES = 4

_batch_sizes: set[int] = set()  # met since then


class ProcessorConv2D(nn.Conv2D):
    """nn.Conv2D, computed by oneDNN where that is faster. Made of a Conv2D by `use_onednn`."""

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        if not self._suits(images):
            return super().forward(images)
        _remember(images.shape[0])
        weight = self.weight
        trains = paddle.is_grad_enabled() and not (images.stop_gradient and weight.stop_gradient)
        program = _compiled(
            tuple(weight.shape), _hashable(self._stride), _hashable(self._updated_padding),
            _hashable(self._dilation), self._groups, trains, images.stop_gradient, weight.stop_gradient,
        )  # fmt: skip
        features = program([images, weight])
        return features if self.bias is None else features + self.bias.reshape([1, -1, 1, 1])

    def _suits(self, images: paddle.Tensor) -> bool:
        return (
            paddle.in_dynamic_mode()  # not while the whole network is compiled or exported
            and images.place.is_cpu_place()
            and images.dtype == self.weight.dtype == paddle.float32
            and images.size >= SMALLEST_INPUT
        )


def use_onednn(network: nn.Layer) -> nn.Layer:
    """Let the network's convolutions run by oneDNN if this Paddle can; its weights and names stay.

    For networks that train on a processor; on another device the layers compute as before.
    """
    if paddle.get_device() == "cpu" and onednn_trains():
        _let_go()  # of what earlier networks left
        for layer in network.sublayers(include_self=True):
            if type(layer) is nn.Conv2D and _gains(layer):
                layer.__class__ = ProcessorConv2D
    return network


def _gains(layer: nn.Conv2D) -> bool:
    """Not 1x1: that is one matrix product for Paddle too, and oneDNN would reorder the images before it."""
    plain = layer._padding_mode == "zeros" and layer._data_format == "NCHW"
    return plain and max(layer._kernel_size) > 1


@functools.cache
def onednn_trains() -> bool:
    """Whether this Paddle can: a trial convolution and its gradients have to be those of Paddle's kernels.

    It takes Paddle 3 (PIR programs) with oneDNN; what is called below is not part of Paddle's promised API.
    """
    uses_pir = getattr(paddle.framework, "use_pir_api", None)
    if uses_pir is None or not uses_pir() or not paddle.base.core.is_compiled_with_mkldnn():
        return False
    random = np.random.RandomState(0)
    arrays = [
        random.randn(*shape).astype("float32") for shape in ((2, 16, 8, 8), (16, 1, 3, 3), (2, 16, 4, 4))
    ]
    found = []
    for by_onednn in (True, False):
        images, weight, gradient = (paddle.to_tensor(array, stop_gradient=False) for array in arrays)
        if by_onednn:
            try:
                program = _compiled((16, 1, 3, 3), (2, 2), 1, (1, 1), 16, True, False, False)
            except (AttributeError, TypeError, ValueError, RuntimeError):
                return False  # another Paddle, with other insides
            features = program([images, weight])
        else:
            features = F.conv2d(images, weight, stride=2, padding=1, groups=16)
        paddle.autograd.backward([features], [gradient])
        found.append([tensor.numpy() for tensor in (features, images.grad, weight.grad)])
    return all(np.allclose(one, other, rtol=1e-4, atol=1e-4) for one, other in zip(*found))


@functools.cache
def _compiled(weight_shape, stride, padding, dilation, groups, trains, images_fixed, weight_fixed):
    """A callable [images, weight] -> features for one kind of convolution, of any batch and image size."""

    def convolve(images, weight):
        return F.conv2d(images, weight, stride=stride, padding=padding, dilation=dilation, groups=groups)

    in_channels = weight_shape[1] * groups
    specs = [
        InputSpec([None, in_channels, None, None], "float32", "images", stop_gradient=images_fixed),
        InputSpec(list(weight_shape), "float32", "weight", stop_gradient=weight_fixed),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Paddle about its own tracing
        _load_onednn_operations()
        static = paddle.jit.to_static(convolve, input_spec=specs, full_graph=True)
        program = static.get_concrete_program(*specs)[1]
        program.training = trains
        program.program.apply_pir_program_pass(_place_on_onednn)
    return program


def _remember(batch_size: int) -> None:
    if batch_size not in _batch_sizes and len(_batch_sizes) == MOST_BATCH_SIZES:
        _let_go()
    _batch_sizes.add(batch_size)


def _let_go() -> None:
    """Free the memory of all sizes met so far; results and pending gradients stay the same."""
    paddle.base.core.clear_executor_cache()
    _batch_sizes.clear()


def _place_on_onednn(forward, backward, _):
    for program in (forward, backward):
        for name in ("depthwise_conv_onednn_pass", "onednn_placement_pass"):
            passes = paddle.pir.PassManager(3)
            passes.add_pass(name, {})
            passes.run(program)
        for operation in program.global_block().ops:
            # Set by the pass; it would refuse a gradient, and keep a first call's weights for all later ones.
            if operation.has_attr("is_test"):
                operation.set_bool_attr("is_test", False)
    if not any(operation.name() == "onednn_op.conv2d" for operation in forward.global_block().ops):
        raise RuntimeError("this Paddle does not place convolutions on oneDNN")
    return forward, backward


@functools.cache
def _load_onednn_operations() -> None:
    """Paddle registers them when the first program of the process runs, whichever it is."""

    def double(number):
        return paddle.abs(number)

    paddle.jit.to_static(double, full_graph=True)(paddle.ones([1]))


def _hashable(sizes):
    return tuple(sizes) if isinstance(sizes, list) else sizes
