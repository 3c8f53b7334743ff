"""Networks that are looked at and never change."""

from __future__ import annotations

from paddle import nn


def freeze(network: nn.Layer) -> nn.Layer:
    """The network itself, in evaluation mode and without gradients."""
    network.eval()
    for parameter in network.parameters():
        parameter.stop_gradient = True
    return network


def hold_statistics(network: nn.Layer) -> None:
    """Let batch norm keep its running statistics even in training mode, where it normalises by the batch."""
    for layer in network.sublayers():
        if isinstance(layer, (nn.BatchNorm1D, nn.BatchNorm2D)):
            layer._momentum = 1.0  # Paddle's momentum is the share that is kept
