"""Networks that are looked at and never change."""

from __future__ import annotations

from paddle import nn


def freeze(network: nn.Layer) -> nn.Layer:
    """The network itself, in evaluation mode and without gradients."""
    network.eval()
    for parameter in network.parameters():
        parameter.stop_gradient = True
    return network
