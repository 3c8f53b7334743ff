"""latest.safetensors: everything that a run needs to go on exactly.

One file, so that its parts cannot come from different steps, and in a format that executes nothing.
Random states are not in it: every random number follows from the seed and the position (see runtime).
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import paddle

from ppcds.config import Recipe, changed_keys
from ppcds.distributed import num_ranks
from ppcds.errors import UserError
from ppcds.methods import METHODS
from ppcds.weights import first_not_finite, load_weights, read_metadata, save_weights, set_weights

MAY_CHANGE = {
    "data.root",
    "data.cache",
    "data.num_workers",
    "run.output_dir",
    "run.log_steps",
    "run.threads",
}


@dataclasses.dataclass
class TrainState:
    """Where a run stands: `step` batches of epoch `epoch` are done, both counted from 0."""

    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = dataclasses.field(default_factory=dict)  # of losses and notes in this epoch
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)  # the rows of metrics.csv
    best: float = -1.0
    images_seen: int = 0  # views, since the run began
    frozen: dict[str, str] = dataclasses.field(default_factory=dict)  # checksums of what must not change
    ranks: int = 1  # that share each batch
    scaler: dict[str, float] = dataclasses.field(default_factory=dict)  # see engine.precision


def save_checkpoint(path: Path, recipe: Recipe, state: TrainState, method, optimizer) -> None:
    """Write weights, optimiser and position; the file is whole or the previous one.

    Raises UserError, and leaves the previous file, if a number in them is not finite.
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
    }
    save_weights(tensors, path, metadata)


def read_position(path: Path, recipe: Recipe) -> TrainState:
    """Where the run of a checkpoint stands, its weights left unread.

    Raises UserError if the file is no checkpoint, or if the recipe has changed since.
    """
    metadata = read_metadata(path)
    if not {"state", "recipe"} <= set(metadata):
        raise UserError(f"{path} is not a checkpoint of a run: it holds no position and recipe")
    before = json.loads(metadata["recipe"])
    changed = set(changed_keys(before, recipe.model_dump(mode="json"))) - MAY_CHANGE
    options = recipe.method.options()
    followed = [options.get(name) for name in METHODS[recipe.method.name].schedules]
    if recipe.optim.schedule.name != "cosine" and set(followed) <= {"constant"}:
        changed.discard("optim.epochs")  # else what was done so far would have been done otherwise
    if recipe.data.classes is None:
        changed.discard("data.classes")  # which a run fills in
    if changed:
        raise UserError(f"{path}: the recipe has changed since, in {', '.join(sorted(changed))}")
    return TrainState(**json.loads(metadata["state"]))


def load_checkpoint(path: Path, recipe: Recipe, method, optimizer) -> TrainState:
    """Put a run back where it stopped.

    Raises UserError if there is none, or if the recipe or the number of ranks has changed.
    """
    if not path.is_file():
        raise UserError(f"{path.parent} is not a run that can be resumed: there is no {path.name} in it")
    state = read_position(path, recipe)
    if state.ranks != num_ranks():
        raise UserError(
            f"{path}: the run began with {state.ranks} rank(s) and this is {num_ranks()}: their sums round "
            "differently, so go on with as many processes as before (--nproc_per_node)"
        )
    tensors = load_weights(path)
    if (state.epoch or state.step) and not any(name.startswith("optimizer.") for name in tensors):
        raise UserError(f"{path}: the state of the optimiser is missing")
    weights = {name[len("method.") :]: value for name, value in tensors.items() if name.startswith("method.")}
    set_weights(method, weights, str(path))
    _set_accumulators(method, optimizer, tensors, path)
    return state


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


def _set_accumulators(method, optimizer, tensors: dict[str, np.ndarray], path: Path) -> None:
    generated = {name: parameter.name for name, parameter in method.named_parameters()}
    state = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            kind, _, name = key[len("optimizer.") :].partition("/")
            if name not in generated:
                raise UserError(f"{path}: {key} belongs to no weight of this network")
            state[f"{generated[name]}_{kind}"] = paddle.to_tensor(value)
    optimizer.set_state_dict(state)
