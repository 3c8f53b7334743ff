"""latest.safetensors: everything that a run needs to go on exactly.

One file, so that its parts cannot come from different steps, and in a format that executes nothing.
Random states are not in it: every random number follows from the seed and the position (see runtime).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pydantic

from ppcds.config import Recipe
from ppcds.distributed import num_ranks
from ppcds.engine.optimizer_state import optimizer_arrays, optimizer_tensors
from ppcds.engine.recipe_changes import require_allowed
from ppcds.engine.train_state import TrainState
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

STATE, RECIPE = pydantic.TypeAdapter(TrainState), pydantic.TypeAdapter(Recipe)
METHOD, OPTIMIZER = "method.", "optimizer."  # what names of arrays begin with


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What stands in a checkpoint beside its arrays.  checksum: of them; "" in one of an earlier version."""

    path: Path
    state: TrainState
    recipe: Recipe
    checksum: str


def save_checkpoint(path: Path, recipe: Recipe, state: TrainState, method, optimizer) -> None:
    """Write weights, optimiser and position; the file is whole or the previous one.

    Raises UserError, and leaves the previous file, if a number in them is not finite or it cannot be written.
    """
    tensors = {f"{METHOD}{name}": value.numpy() for name, value in method.state_dict().items()}
    for name, value in optimizer_arrays(method, optimizer).items():
        tensors[f"{OPTIMIZER}{name}"] = value
    broken = first_not_finite(tensors)
    if broken:
        raise UserError(f"{broken} is no longer finite: start again with a lower optim.learning_rate")
    metadata = {
        "state": json.dumps(dataclasses.asdict(state)),
        "recipe": json.dumps(recipe.model_dump(mode="json")),
        "checksum": checksum(tensors),
    }
    save_weights(tensors, path, metadata)


def read_checkpoint(path: Path) -> Checkpoint:
    """Where the run of a checkpoint stands, and its recipe; the arrays are left unread.

    Raises UserError naming the file and what in it does not fit.
    """
    if not path.is_file():
        raise UserError(f"{path.parent} is not a run that can be resumed: there is no {path.name} in it")
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
    return Checkpoint(path, state, recipe, metadata.get("checksum", ""))


def read_position(path: Path, recipe: Recipe) -> TrainState:
    """Where the run of a checkpoint stands.

    Raises UserError if the file is no checkpoint, or if the recipe has changed since.
    """
    checkpoint = read_checkpoint(path)
    require_allowed(path, checkpoint.recipe, recipe)
    return checkpoint.state


def load_arrays(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint, method.* and optimizer.*.

    Raises UserError if they are damaged or incomplete, or were made by another number of ranks than now.
    """
    path, state = checkpoint.path, checkpoint.state
    if state.ranks != num_ranks():
        raise UserError(
            f"{path}: the run began with {state.ranks} rank(s) and this is {num_ranks()}: their sums round "
            "differently, so go on with as many processes as before (--nproc_per_node)"
        )
    arrays = load_weights(path)
    if (state.epoch or state.step) and not any(name.startswith(OPTIMIZER) for name in arrays):
        raise UserError(f"{path}: the state of the optimiser is missing")
    if checkpoint.checksum not in ("", checksum(arrays)):
        raise UserError(f"{path}: it is damaged, its checksum does not agree: go on from another checkpoint")
    require_finite(arrays, path)
    return arrays


def method_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those of a checkpoint's arrays that are the state of the method, by its own names."""
    return {name[len(METHOD) :]: value for name, value in arrays.items() if name.startswith(METHOD)}


def restore(path: Path, arrays: Mapping[str, np.ndarray], method, optimizer) -> None:
    """Give method and optimiser the arrays of the checkpoint at `path`.

    Raises UserError if they are not the state of this method and optimiser.
    """
    accumulators = optimizer_tensors(arrays, method, path)
    set_weights(method, method_arrays(arrays), str(path))
    optimizer.set_state_dict(accumulators)


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
