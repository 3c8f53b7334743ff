"""Optimisers against steps computed by hand; their state through a checkpoint."""

import numpy as np
import paddle
import pytest

from ppcds.config import load_recipe
from ppcds.engine.checkpoint import TrainState, load_arrays, read_checkpoint, restore, save_checkpoint
from ppcds.engine.lars import Lars
from ppcds.engine.optimizers import build_optimizer
from ppcds.weights import load_weights, read_metadata

OPTIMIZERS = ("momentum", "lars", "adam")


def _optim(name: str, **values: float):
    overrides = [f"optim.{key}={value}" for key, value in values.items()]
    return load_recipe("sports10", [f"optim.name={name}", *overrides]).optim


def _parameter(values: list) -> paddle.Tensor:
    parameter = paddle.create_parameter([len(values)], "float32")
    parameter.set_value(np.array(values, dtype="float32"))
    return parameter


def _step(optimizer, weight: paddle.Tensor, gradient: np.ndarray) -> None:
    (weight * paddle.to_tensor(gradient.astype("float32"))).sum().backward()
    optimizer.step()
    optimizer.clear_grad()


def test_momentum_adds_the_weight_decay_to_the_gradient_as_sgd_of_the_official_code_does():
    weight = _parameter([1.0, -2.0, 3.0])
    optimizer = build_optimizer(load_recipe("sports10").optim, [weight])
    expected, velocity, gradient = np.array([1.0, -2.0, 3.0]), 0.0, np.array([0.5, 0.25, -1.0])
    for rate in (0.1, 0.1, 0.05, 0.2):
        optimizer.set_lr(rate)
        _step(optimizer, weight, gradient)
        velocity = 0.9 * velocity + gradient + 5e-4 * expected
        expected = expected - rate * velocity
    np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam_equals_the_papers_algorithm_with_the_decay_in_the_gradient(decay):
    # The last gradient is so small that epsilon's size and place show: 1e-8 beside the corrected root.
    weight, gradient = _parameter([1.0, -2.0, 0.0]), np.array([0.5, -0.25, 3e-8])
    optimizer = build_optimizer(_optim("adam", learning_rate=0.01, weight_decay=decay), [weight])
    expected, mean, square = np.array([1.0, -2.0, 0.0]), 0.0, 0.0
    for step, rate in enumerate((0.01, 0.03, 0.02), start=1):
        optimizer.set_lr(rate)
        _step(optimizer, weight, gradient)
        decayed = gradient + decay * expected
        mean, square = 0.9 * mean + 0.1 * decayed, 0.999 * square + 0.001 * decayed**2
        corrected = np.sqrt(square / (1 - 0.999**step))
        expected = expected - rate * mean / (1 - 0.9**step) / (corrected + 1e-8)
    np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-4)


def test_lars_takes_rate_momentum_and_decay_from_the_recipe():
    weight = paddle.create_parameter([1, 2], "float32")
    weight.set_value(np.array([[3.0, 4.0]], dtype="float32"))
    optim = _optim("lars", learning_rate=2, momentum=0.5, weight_decay=0.1)
    optimizer = build_optimizer(optim, [weight])
    assert isinstance(optimizer, Lars)
    gradient = np.array([[0.3, -0.4]])  # with the decay (0.6, 0): trust 0.001 * 5 / 0.6
    _step(optimizer, weight, gradient)
    np.testing.assert_allclose(weight.numpy(), [[2.99, 4.0]], rtol=1e-6)
    optimizer.set_lr(0.0)
    _step(optimizer, weight, gradient)  # half the speed, nothing new
    np.testing.assert_allclose(weight.numpy(), [[2.985, 4.0]], rtol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_frozen_is_not_given_to_the_optimiser(name):
    trained, frozen = _parameter([1.0]), _parameter([1.0])
    frozen.stop_gradient = True
    optimizer = build_optimizer(_optim(name), [trained, frozen])
    _step(optimizer, trained, np.array([1.0]))
    assert optimizer._parameter_list == [trained]
    assert all(key.startswith(trained.name) for key in optimizer.state_dict())
    assert trained.item() < 1.0


def _network(seed: int) -> paddle.nn.Layer:
    paddle.seed(seed)
    nn = paddle.nn
    return nn.Sequential(nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))


def _train(network: paddle.nn.Layer, optimizer, steps: range) -> None:
    for step in steps:
        images = np.random.RandomState(step).normal(size=(8, 3, 4, 4)).astype("float32")
        optimizer.set_lr(0.01 * (step + 1))
        paddle.square(network(paddle.to_tensor(images)) - 1).sum().backward()
        optimizer.step()
        optimizer.clear_grad()


def _contents(path) -> dict:
    """Position, recipe and the bytes of each tensor; a file has its metadata in no fixed order."""
    tensors = load_weights(path)
    return {**read_metadata(path), **{name: value.tobytes() for name, value in tensors.items()}}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_stopped_run_goes_on_to_the_same_bytes(name, tmp_path):
    recipe = load_recipe("sports10", [f"optim.name={name}"])
    stopped, again, through = (tmp_path / f"{name}.safetensors" for name in ("stopped", "again", "through"))

    network = _network(seed=1)
    optimizer = build_optimizer(recipe.optim, network.parameters())
    _train(network, optimizer, range(3))
    save_checkpoint(stopped, recipe, TrainState(0, 3), network, optimizer)
    _train(network, optimizer, range(3, 6))
    save_checkpoint(through, recipe, TrainState(0, 6), network, optimizer)

    resumed = _network(seed=2)
    optimizer = build_optimizer(recipe.optim, resumed.parameters())
    restore(stopped, load_arrays(read_checkpoint(stopped)), resumed, optimizer)
    save_checkpoint(again, recipe, TrainState(0, 3), resumed, optimizer)  # stopped before its first step
    assert _contents(again) == _contents(stopped)
    restore(again, load_arrays(read_checkpoint(again)), resumed, optimizer)
    _train(resumed, optimizer, range(3, 6))
    save_checkpoint(again, recipe, TrainState(0, 6), resumed, optimizer)
    assert _contents(again) == _contents(through)

    state = [key for key in load_weights(through) if key.startswith("optimizer.")]
    kinds = {"momentum": 1, "lars": 1, "adam": 4}  # of Adam two moments and two powers of its betas
    assert len(state) == kinds[name] * len([p for p in network.parameters() if not p.stop_gradient])
