"""The optimiser's state by the network's own names, "velocity_0/layer1.0.conv1.weight" for instance.

Paddle's own keys begin with generated names (conv2d_3.w_0) that another process may give otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import paddle

from ppcds.errors import UserError


def optimizer_arrays(method: paddle.nn.Layer, optimizer: paddle.optimizer.Optimizer) -> dict[str, np.ndarray]:
    """{"velocity_0/<name of a weight>": array} of what the optimiser remembers of each weight."""
    structured = {parameter.name: name for name, parameter in method.named_parameters()}
    named = {}
    # Paddle 2.6 keeps what it was given aside until the first step, and state_dict() does not show it.
    waiting = getattr(optimizer, "_accumulators_holder", {})
    for key, value in {**waiting, **optimizer.state_dict()}.items():
        if isinstance(value, paddle.Tensor):
            generated = _owner(key, structured)
            named[f"{key[len(generated) + 1 :]}/{structured[generated]}"] = value.numpy()
    return named


def _owner(key: str, structured: dict[str, str]) -> str:
    return max((name for name in structured if key.startswith(f"{name}_")), key=len)


def optimizer_tensors(
    arrays: Mapping[str, np.ndarray], method: paddle.nn.Layer, path: Path
) -> dict[str, paddle.Tensor]:
    """What the optimiser of this method takes as its state, by the names that Paddle has generated.

    arrays: of a checkpoint, method.* and optimizer.*; path: of its file, for the message.
    Raises UserError for what belongs to no weight, or has another shape or kind of number than it.
    """
    parameters = dict(method.named_parameters())
    state = {}
    for key, value in arrays.items():
        section, _, place = key.partition(".")
        if section == "method":
            continue
        kind, _, name = place.partition("/")
        if section != "optimizer" or name not in parameters:
            raise UserError(f"{path}: {key[:80]!r} belongs to no weight of this network")
        shape = list(parameters[name].shape)
        if value.dtype.kind != "f" or list(value.shape) not in (shape, [1], []):
            raise UserError(f"{path}: {key} is {value.dtype} {list(value.shape)}, and its weight is {shape}")
        state[f"{parameters[name].name}_{kind}"] = paddle.to_tensor(value)
    return state
