"""Networks that follow another one by exponential moving average: BYOL's target, MoCo's key encoder."""

from __future__ import annotations

import copy

import paddle
from paddle import nn

RUNNING_STATISTICS = ("_mean", "_variance")  # of Paddle's batch norm, which keeps them in parameters()


def copy_without_gradient(online: nn.Layer) -> nn.Layer:
    """A copy that shares no memory with `online` and that no optimiser moves."""
    target = copy.deepcopy(online)
    for parameter in target.parameters():
        parameter.stop_gradient = True
    return target


@paddle.no_grad()
def ema_update(target: nn.Layer, online: nn.Layer, tau: float, buffers: bool) -> None:
    """target <- tau * target + (1 - tau) * online, in place; exact at tau = 1 (stays) and tau = 0 (a copy).

    buffers: whether running statistics and registered buffers are averaged too, or left to the target.
    """
    if tau == 1:
        return
    own_buffers = {name for name, _ in online.named_buffers()}
    source = online.state_dict()
    for name, value in target.state_dict().items():
        is_buffer = name in own_buffers or name.rsplit(".", 1)[-1] in RUNNING_STATISTICS
        if buffers or not is_buffer:
            # Not 0 * target + online: that loses the sign of a zero, and spreads a NaN of the target.
            mixed = source[name] if tau == 0 else tau * value + (1 - tau) * source[name]
            paddle.assign(mixed, output=value)
