"""How far batch norm's running statistics move."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from paddle import nn

BATCH_NORMS = (nn.BatchNorm1D, nn.BatchNorm2D, nn.SyncBatchNorm)


@contextlib.contextmanager
def statistics_move(network: nn.Layer, share: float) -> Iterator[None]:
    """Within it, a pass through the network moves its running statistics by this share of the usual way.

    0 holds them; 1/k in each of k passes keeps as much of the old ones as one usual pass. The batch is
    normalised by its own statistics in any case.
    """
    layers = [layer for layer in network.sublayers(include_self=True) if isinstance(layer, BATCH_NORMS)]
    kept = [layer._momentum for layer in layers]  # Paddle's momentum is the share that is kept
    try:
        for layer, momentum in zip(layers, kept):
            layer._momentum = momentum**share
        yield
    finally:
        for layer, momentum in zip(layers, kept):
            layer._momentum = momentum


def hold_statistics(network: nn.Layer) -> None:
    """Let batch norm keep its running statistics even in training mode, where it normalises by the batch."""
    for layer in network.sublayers():
        if isinstance(layer, BATCH_NORMS):
            layer._momentum = 1.0
