"""How the weights start: as in the official PyTorch code, where it differs from Paddle's defaults."""

from __future__ import annotations

import math

from paddle import nn
from paddle.nn.initializer import Normal, Uniform


def initialise(network: nn.Layer) -> None:
    """Draw anew every convolution and linear layer of `network`; BatchNorm keeps Paddle's 1 and 0.

    Convolutions: Kaiming normal over the fan-out with ReLU's gain. The fan-out of a depthwise convolution
    counts all channels, as PyTorch counts it. Linear layers: PyTorch's own default, which the official code
    leaves as it is: weight and bias uniform in ±1/sqrt(inputs). Paddle would draw Xavier uniform and zeros.
    """
    for layer in network.sublayers(include_self=True):
        if isinstance(layer, nn.Conv2D):
            channels, _, height, width = layer.weight.shape
            Normal(0.0, math.sqrt(2.0 / (channels * height * width)))(layer.weight)
        elif isinstance(layer, nn.Linear):
            bound = 1.0 / math.sqrt(layer.weight.shape[0])
            Uniform(-bound, bound)(layer.weight)
            if layer.bias is not None:
                Uniform(-bound, bound)(layer.bias)
