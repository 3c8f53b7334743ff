"""latest.safetensors: everything that a run needs to go on exactly.

One file, so that its parts cannot come from different steps, and in a format that executes nothing.
Random states are not in it: every random number follows from the seed and the position (see runtime).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Union

import numpy as np
import paddle
import pydantic
from pydantic import Field

from ppcds.config import Recipe
from ppcds.distributed import num_ranks
from ppcds.engine.recipe_changes import require_allowed
from ppcds.errors import UserError
from ppcds.weights import (
    checksum,
    first_not_finite,
    load_weights,
    read_metadata,
    require_finite,
    save_weights,
    set_weights,
)

Count = Annotated[int, Field(strict=True, ge=0, le=10**15)]
Number = Union[
    Annotated[int, Field(strict=True, ge=-(10**15), le=10**15)], Annotated[float, Field(strict=True)]
]


@dataclasses.dataclass
class TrainState:
    """Where a run stands: `step` batches of epoch `epoch` are done, both counted from 0."""

    __pydantic_config__ = pydantic.ConfigDict(extra="forbid")  # for what is read from a file

    epoch: Count = 0
    step: Count = 0
    sums: dict[str, Number] = dataclasses.field(default_factory=dict)  # of losses and notes in this epoch
    history: list[dict[str, Number]] = dataclasses.field(default_factory=list)  # the rows of metrics.csv
    best: Number = -1.0
    images_seen: Count = 0  # views, since the run began
    frozen: dict[str, str] = dataclasses.field(default_factory=dict)  # checksums of what must not change
    ranks: Count = 1  # that share each batch
    scaler: dict[str, Number] = dataclasses.field(default_factory=dict)  # see engine.precision
    warned: list[str] = dataclasses.field(default_factory=list)  # measures that a warning was given about


STATE, RECIPE = pydantic.TypeAdapter(TrainState), pydantic.TypeAdapter(Recipe)


def save_checkpoint(path: Path, recipe: Recipe, state: TrainState, method, optimizer) -> None:
    """Write weights, optimiser and position; the file is whole or the previous one.

    Raises UserError, and leaves the previous file, if a number in them is not finite or it cannot be written.
    """
    tensors = {f"method.{name}": value.numpy() for name, value in method.state_dict().items()}
    for name, value in _accumulators(method, optimizer).items():
        tensors[f"optimizer.{name}"] = value
    broken = first_not_finite(tensors)
    if broken:
        raise UserError(f"{broken} is no longer finite: start again with a lower optim.learning_rate")
    metadata = {
        "state": json.dumps(dataclasses.asdict(state)),
        "recipe": json.dumps(recipe.model_dump(mode="json")),
        "checksum": checksum(tensors),
    }
    save_weights(tensors, path, metadata)


def read_position(path: Path, recipe: Recipe, allowed: Collection[str] = ()) -> TrainState:
    """Where the run of a checkpoint stands, its weights left unread.

    allowed: keys that may have changed, see recipe_changes.
    Raises UserError if the file is no checkpoint, or if the recipe has changed since.
    """
    state, before = read_checkpoint(path)
    require_allowed(path, before, recipe, allowed)
    return state


def read_checkpoint(path: Path) -> tuple[TrainState, Recipe]:
    """Where the run of a checkpoint stands, and its recipe; the weights are left unread.

    Raises UserError naming the file and what in it does not fit.
    """
    metadata = read_metadata(path)
    if not {"state", "recipe"} <= set(metadata):
        raise UserError(f"{path} is not a checkpoint of a run: it holds no position and recipe")
    state = _parsed(metadata["state"], STATE, f"{path}: its position")
    recipe = _parsed(metadata["recipe"], RECIPE, f"{path}: its recipe")
    told = [row.get("epoch") for row in state.history]
    if len(told) != state.epoch or told != list(range(1, len(told) + 1)):
        raise UserError(f"{path}: its position is after {state.epoch} epochs, and its history is of others")
    if set(state.scaler) not in (set(), {"scale", "incr_count", "decr_count"}):
        raise UserError(f"{path}: its position has a scaler of {', '.join(state.scaler)[:80]!r}")
    return state, recipe


def load_checkpoint(
    path: Path, recipe: Recipe, method, optimizer, steps: int | None = None, allowed: Collection[str] = ()
) -> TrainState:
    """Put a run back where it stopped.

    steps: of an epoch, where known.  allowed: as in read_position.
    Raises UserError if there is no run, if the recipe or the number of ranks has changed, or if what is in
    the file is not the state of this method and optimiser.
    """
    if not path.is_file():
        raise UserError(f"{path.parent} is not a run that can be resumed: there is no {path.name} in it")
    state = read_position(path, recipe, allowed)
    if state.ranks != num_ranks():
        raise UserError(
            f"{path}: the run began with {state.ranks} rank(s) and this is {num_ranks()}: their sums round "
            "differently, so go on with as many processes as before (--nproc_per_node)"
        )
    if steps is not None and state.step > steps:
        raise UserError(f"{path}: it is after step {state.step} of an epoch that has {steps} now")
    tensors = load_weights(path)
    if (state.epoch or state.step) and not any(name.startswith("optimizer.") for name in tensors):
        raise UserError(f"{path}: the state of the optimiser is missing")
    if read_metadata(path).get("checksum", "") not in ("", checksum(tensors)):  # "": of an earlier version
        raise UserError(f"{path}: it is damaged, its checksum does not agree: go on from another checkpoint")
    require_finite(tensors, path)
    accumulators = _accumulators_in(tensors, method, path)
    weights = {name[len("method.") :]: value for name, value in tensors.items() if name.startswith("method.")}
    set_weights(method, weights, str(path))
    optimizer.set_state_dict(accumulators)
    return state


def _parsed(text: str, adapter: pydantic.TypeAdapter, what: str):
    """The TrainState or Recipe that is written as JSON."""
    try:
        return adapter.validate_python(json.loads(text))
    except pydantic.ValidationError as error:
        place = ".".join(
            str(part) for part in error.errors()[0]["loc"] if part not in ("constrained-int", "float")
        )
        raise UserError(f"{what} is not that of a run: {place[:80]!r} is not as runs have it") from None
    except (ValueError, RecursionError) as error:  # of JSON that is damaged, or nested without end
        raise UserError(f"{what} cannot be read: {' '.join(str(error).split())[:300]}") from None


def _accumulators(method, optimizer) -> dict[str, np.ndarray]:
    """Optimiser state by the network's own names, "velocity_0/layer1.0.conv1.weight" for instance.

    Paddle's own keys begin with generated names (conv2d_3.w_0) that another process may give otherwise.
    """
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


def _accumulators_in(tensors: dict[str, np.ndarray], method, path: Path) -> dict[str, paddle.Tensor]:
    """What the optimiser of this method takes as its state, by the names that Paddle has generated."""
    parameters = dict(method.named_parameters())
    state = {}
    for key, value in tensors.items():
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
