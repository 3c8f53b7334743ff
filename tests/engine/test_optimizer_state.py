"""The optimiser's state by names of its own."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import paddle
import pytest

from ppcds.engine.optimizer_state import optimizer_arrays, optimizer_tensors
from ppcds.errors import UserError


class Named:
    """A method whose weights Paddle has given these names: {own: generated}."""

    def __init__(self, names):
        self.weights = {own: SimpleNamespace(name=generated, shape=[2]) for own, generated in names.items()}

    def named_parameters(self):
        return self.weights.items()


def remembering(**state):
    arrays = {key: paddle.to_tensor(np.float32(value)) for key, value in state.items()}
    return SimpleNamespace(state_dict=lambda: {**arrays, "LR_Scheduler": {"last_lr": 0.1}})


@pytest.mark.parametrize("names", [{"a": "w_0", "b": "w_0_1"}, {"b": "w_0_1", "a": "w_0"}])
def test_of_names_that_begin_alike_the_longest_is_meant(names):
    found = optimizer_arrays(Named(names), remembering(w_0_velocity_0=[1, 2], w_0_1_velocity_0=[3, 4]))
    assert {key: value.tolist() for key, value in found.items()} == {
        "velocity_0/a": [1, 2],
        "velocity_0/b": [3, 4],
    }


def test_what_the_optimiser_was_given_and_has_not_used_yet_counts():
    """Paddle 2.6 keeps it aside until the first step."""
    optimizer = remembering(w_0_velocity_0=[1, 2])
    optimizer._accumulators_holder = remembering(w_0_velocity_0=[0, 0], w_1_velocity_0=[5, 6]).state_dict()
    found = optimizer_arrays(Named({"a": "w_0", "b": "w_1"}), optimizer)
    assert {key: value.tolist() for key, value in found.items()} == {
        "velocity_0/a": [1, 2],
        "velocity_0/b": [5, 6],
    }


def test_what_was_taken_comes_back_under_the_names_of_another_process():
    found = optimizer_arrays(
        Named({"a/x": "w_0"}), remembering(w_0_moment1_0=[1, 2], w_0_beta1_pow_acc_0=[0.5])
    )
    arrays = {f"optimizer.{key}": value for key, value in found.items()}
    tensors = optimizer_tensors({**arrays, "method.a/x": np.zeros(2)}, Named({"a/x": "w_7"}), Path("latest"))
    assert {key: value.tolist() for key, value in tensors.items()} == {
        "w_7_moment1_0": [1, 2],
        "w_7_beta1_pow_acc_0": [0.5],
    }


def test_what_belongs_to_no_weight_is_named_shortly():
    for key in ("optimizer.velocity_0/c", "other.a", "optimizer." + "v" * 200):
        with pytest.raises(UserError) as caught:
            optimizer_tensors({key: np.zeros(2, "float32")}, Named({"a": "w_0"}), Path("latest"))
        assert str(caught.value) == f"latest: {key[:80]!r} belongs to no weight of this network"
