"""What of a checkpoint is believed: all of it or nothing."""

import json

import numpy as np
import pytest

from ppcds.config import load_recipe
from ppcds.engine.checkpoint import load_arrays, read_checkpoint, read_position, restore, save_checkpoint
from ppcds.engine.optimizers import build_optimizer
from ppcds.engine.recipe_changes import changes
from ppcds.engine.train_state import TrainState
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.methods.build import build_method
from ppcds.weights import checksum, load_weights, read_metadata, save_weights


@pytest.mark.parametrize("mode", ["build", "ignore"])
def test_packed_images_may_come_and_go_since_their_pixels_are_the_same(teacher_run, mode):
    recipe = load_recipe(str(teacher_run / "recipe.yaml"), [f"data.cache={mode}"])
    assert read_position(teacher_run / "latest.safetensors", recipe).epoch == 0


def test_another_decoding_is_another_run(teacher_run):
    recipe = load_recipe(str(teacher_run / "recipe.yaml"), ["data.decode=fast"])
    latest = teacher_run / "latest.safetensors"
    with pytest.raises(
        UserError, match=r"changed since, in data\.decode \(\"exact\" -> \"fast\"\): "
    ) as caught:
        read_position(latest, recipe)
    assert str(caught.value).startswith(f"{latest}: ")


def change_state(**changes):
    return lambda metadata: metadata.update(state=json.dumps({**json.loads(metadata["state"]), **changes}))


def change_recipe(section, **changes):
    def change(metadata):
        recipe = json.loads(metadata["recipe"])
        recipe[section].update(changes)
        metadata["recipe"] = json.dumps(recipe)

    return change


ROW = {"epoch": 1, "train_loss": 0.5}
POSITIONS = {
    "epoch is text": (change_state(epoch="1"), "'epoch' is not as runs have it"),
    "epoch is true": (change_state(epoch=True), "'epoch' is not"),
    "epoch is a fraction": (change_state(epoch=0.5), "'epoch' is not"),
    "epoch is negative": (change_state(epoch=-1), "'epoch' is not"),
    "step has forty digits": (change_state(step=10**40), "'step' is not"),
    "a row is a list": (change_state(history=[[]]), "'history.0' is not"),
    "a row holds text": (change_state(history=[{"epoch": "x"}]), "'history.0.epoch"),
    "a row holds a number of four hundred digits": (
        change_state(history=[{"epoch": 10**400}]),
        "'history.0.epoch",
    ),
    "a field that runs do not have": (change_state(more=1), "'more' is not"),
    "bad rows of one split": (change_state(unreadable=[[]]), "'unreadable' is not|'unreadable.1' is not"),
    "bad rows are names": (change_state(unreadable=[["a"], []]), "'unreadable.0.0' is not"),
    "warnings are numbers": (change_state(warned=[1]), "'warned.0' is not"),
    "no ranks": (change_state(ranks=None), "'ranks' is not"),
    "a row too many": (change_state(history=[ROW]), "after 0 epochs, and its history is of others"),
    "a row too few": (change_state(epoch=1), "after 1 epochs, and its history is of others"),
    "half a scaler": (change_state(scaler={"scale": 1.0}), "has a scaler of 'scale'"),
    "a list": (lambda metadata: metadata.update(state="[]"), "is not that of a run"),
    "half of it": (
        lambda metadata: metadata.update(state=metadata["state"][:20]),
        "its position cannot be read",
    ),
    "lists without end": (
        lambda metadata: metadata.update(state="[" * 100_000),
        "its position cannot be read",
    ),
    "digits without end": (lambda metadata: metadata.update(state="9" * 100_000), "its position "),
    "a recipe without end": (
        lambda metadata: metadata.update(recipe='{"a":' * 100_000),
        "its recipe cannot be read",
    ),
    "a recipe with an unknown key": (change_recipe("data", more=1), "its recipe is not .*'data.more'"),
    "a recipe of another type": (change_recipe("optim", learning_rate=[]), "'optim.learning_rate'"),
    "a recipe that is null": (
        lambda metadata: metadata.update(recipe="null"),
        "its recipe is not that of a run",
    ),
    "no recipe": (lambda metadata: metadata.pop("recipe"), "it holds no position and recipe"),
}


@pytest.mark.parametrize("name", list(POSITIONS))
def test_a_position_that_no_run_has_is_refused_with_what_is_wrong(teacher_run, tmp_path, name):
    change, said = POSITIONS[name]
    metadata = read_metadata(teacher_run / "latest.safetensors")
    change(metadata)
    save_weights({"method.a": np.ones(1)}, tmp_path / "latest.safetensors", metadata)
    with pytest.raises(UserError, match=rf"latest\.safetensors.*{said}") as caught:
        read_checkpoint(tmp_path / "latest.safetensors")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_numbers_of_a_position_come_back_as_they_were(teacher_run, tmp_path):
    row = {"epoch": 1, "images_seen": 80, "train_loss": 0.1 + 0.2, "eval_loss": float("nan"), "noted": 3}
    metadata = read_metadata(teacher_run / "latest.safetensors")
    change_state(epoch=1, step=2, history=[row], best=float("inf"))(metadata)
    save_weights({"method.a": np.ones(1)}, tmp_path / "a.safetensors", metadata)
    state = read_checkpoint(tmp_path / "a.safetensors").state
    assert (
        repr(state.history) == repr([row])
        and state.best == float("inf")
        and (state.epoch, state.step) == (1, 2)
    )


def test_a_checkpoint_of_before_bad_images_were_kept_in_it_is_read(teacher_run, tmp_path):
    metadata = read_metadata(teacher_run / "latest.safetensors")
    state = json.loads(metadata["state"])
    assert state.pop("unreadable") == [[], []]
    save_weights(
        {"method.a": np.ones(1)}, tmp_path / "a.safetensors", {**metadata, "state": json.dumps(state)}
    )
    assert read_checkpoint(tmp_path / "a.safetensors").state.unreadable == ([], [])


@pytest.fixture(scope="module")
def begun(trained_run):
    """The recipe of a finished run, its arrays and metadata."""
    latest = trained_run / "latest.safetensors"
    return load_recipe(str(trained_run / "recipe.yaml")), load_weights(latest), read_metadata(latest)


def without(start):
    return lambda arrays: [arrays.pop(name) for name in list(arrays) if name.startswith(start)]


ARRAYS = {
    "weights alone": (without("optimizer."), "the state of the optimiser is missing"),
    "a part of the optimiser": (
        without("optimizer.velocity_0/network.backbone.fc"),
        "its checksum does not agree",
    ),
    "another number": (lambda arrays: next(iter(arrays.values())).reshape(-1).__setitem__(0, 7), "checksum"),
}
UNSUMMED = {
    "a weight too few": (without("method.network.backbone.conv1"), "weights of another network: 1 missing"),
    "a weight too many": (lambda arrays: arrays.update({"method.x": np.ones(1)}), r"1 unknown \(x\)"),
    "of no section": (lambda arrays: arrays.update(x=np.ones(1)), "'x' belongs to no weight"),
    "of no weight": (
        lambda arrays: arrays.update({"optimizer.velocity_0/x": np.ones(1, "float32")}),
        "'optimizer.velocity_0/x' belongs to no weight",
    ),
    "a NaN in the optimiser": (
        lambda arrays: arrays[sorted(arrays)[-1]].reshape(-1).__setitem__(0, np.nan),
        "holds numbers that are not finite",
    ),
    "another shape in the optimiser": (
        lambda arrays: arrays.update({sorted(arrays)[-1]: np.ones((3, 1), "float32")}),
        r"is float32 \[3, 1\], and its weight is",
    ),
    "other numbers in the optimiser": (
        lambda arrays: arrays.update({sorted(arrays)[-1]: arrays[sorted(arrays)[-1]].astype("int64")}),
        r"is int64 .*, and its weight is",
    ),
}


@pytest.mark.parametrize("name", [*ARRAYS, *UNSUMMED])
def test_arrays_that_are_not_the_state_of_the_run_are_refused_and_named(begun, tmp_path, name):
    recipe, arrays, metadata = begun
    arrays = {name: array.copy() for name, array in arrays.items()}
    change, said = {**ARRAYS, **UNSUMMED}[name]
    change(arrays)
    if name in UNSUMMED:
        metadata = {key: value for key, value in metadata.items() if key != "checksum"}
    save_weights(arrays, tmp_path / "latest.safetensors", metadata)
    method, path = build_method(recipe, 10), tmp_path / "latest.safetensors"
    with pytest.raises(UserError, match=rf"latest\.safetensors: .*{said}"):
        arrays = load_arrays(read_checkpoint(path))
        restore(path, arrays, method, build_optimizer(recipe.optim, method.parameters()))


def test_what_is_saved_carries_its_checksum_and_a_number_that_is_not_finite_is_never_saved(begun, tmp_path):
    recipe, _, _ = begun
    method, path = build_method(recipe, 10), tmp_path / "latest.safetensors"
    optimizer = build_optimizer(recipe.optim, method.parameters())
    save_checkpoint(path, recipe, TrainState(), method, optimizer)
    found, whole = read_checkpoint(path), path.read_bytes()
    assert found.checksum == checksum(load_weights(path)) and not changes(found.recipe, recipe)
    name, weight = next(iter(method.named_parameters()))
    weight.set_value(np.full(weight.shape, np.inf, "float32"))
    with pytest.raises(
        UserError, match=f"^method.{name} is no longer finite: start again with a lower optim.l"
    ):
        save_checkpoint(path, recipe, TrainState(), method, optimizer)
    assert path.read_bytes() == whole


def test_a_position_behind_the_end_of_an_epoch_is_refused(tiny_recipe, tmp_path):
    Trainer(tiny_recipe("optim.epochs=1")).train()
    latest = tmp_path / "run" / "latest.safetensors"
    metadata = read_metadata(latest)
    change_state(epoch=0, history=[], step=6)(metadata)
    save_weights(load_weights(latest), latest, metadata)
    with pytest.raises(UserError, match="it is after step 6 of an epoch that has 5 now"):
        Trainer(tiny_recipe("optim.epochs=1"), resume=True)
