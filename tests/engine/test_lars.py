"""LARS against numbers computed by hand and a loop in NumPy."""

import numpy as np
import paddle
import pytest

from ppcds.engine.lars import TRUST, Lars


def _parameter(values: np.ndarray) -> paddle.Tensor:
    parameter = paddle.create_parameter(list(np.shape(values)), "float32")
    parameter.set_value(np.asarray(values, dtype="float32"))
    return parameter


def _step(optimizer: Lars, parameters: list, gradients: list) -> None:
    """One step with just these gradients."""
    losses = [
        (parameter * paddle.to_tensor(np.asarray(gradient, dtype="float32"))).sum()
        for parameter, gradient in zip(parameters, gradients)
    ]
    paddle.add_n(losses).backward()
    optimizer.step()
    optimizer.clear_grad()


def test_two_steps_of_a_weight_of_norm_5_equal_the_hand_computation():
    weight = _parameter([[3.0, 4.0]])
    optimizer = Lars(2.0, momentum=0.9, weight_decay=0.0, parameters=[weight])
    _step(optimizer, [weight], [[[0.6, 0.8]]])  # trust 0.001 * 5 / 1, velocity 2 * 0.005 * gradient
    np.testing.assert_allclose(weight.numpy(), [[2.994, 3.992]], rtol=1e-6)
    _step(optimizer, [weight], [[[6.0, 8.0]]])  # ten times the gradient: norm 4.99, trust 0.000499
    velocity = [0.9 * 0.006 + 2 * 0.000499 * 6, 0.9 * 0.008 + 2 * 0.000499 * 8]
    np.testing.assert_allclose(weight.numpy(), [[2.994 - velocity[0], 3.992 - velocity[1]]], rtol=1e-6)


def test_five_steps_of_a_changing_rate_equal_a_loop_in_float64():
    random = np.random.default_rng(0)
    shapes = {"conv": (4, 3, 3, 3), "fc": (5, 7), "bias": (7,), "scale": (4,)}
    expected = {name: random.normal(size=shape) for name, shape in shapes.items()}
    parameters = {name: _parameter(value) for name, value in expected.items()}
    velocity = {name: np.zeros(shape) for name, shape in shapes.items()}
    optimizer = Lars(0.3, momentum=0.9, weight_decay=0.02, parameters=list(parameters.values()))
    for rate in (0.0, 2.0, 4.0, 3.0, 0.5):
        gradients = {name: random.normal(size=shape) for name, shape in shapes.items()}
        optimizer.set_lr(rate)
        _step(optimizer, list(parameters.values()), list(gradients.values()))
        for name, gradient in gradients.items():
            trust = 1.0
            if name in ("conv", "fc"):
                gradient = gradient + 0.02 * expected[name]
                trust = 0.001 * np.linalg.norm(expected[name]) / np.linalg.norm(gradient)
            velocity[name] = 0.9 * velocity[name] + rate * trust * gradient
            expected[name] = expected[name] - velocity[name]
    for name, parameter in parameters.items():
        np.testing.assert_allclose(parameter.numpy(), expected[name], rtol=2e-6, atol=2e-6, err_msg=name)


def test_a_classifier_keeps_its_decay_and_is_not_adapted():
    weight = _parameter([[3.0, 4.0]])
    optimizer = Lars(0.1, momentum=0.9, weight_decay=0.5, parameters=[weight], plain=[weight])
    _step(optimizer, [weight], [[[0.6, 0.8]]])
    np.testing.assert_allclose(weight.numpy(), [[3 - 0.1 * (0.6 + 1.5), 4 - 0.1 * (0.8 + 2)]], rtol=1e-6)


def test_a_rate_of_zero_leaves_the_speed_gained_before():
    bias = _parameter([1.0])  # of one dimension: trust 1
    optimizer = Lars(1.0, momentum=0.5, weight_decay=0.0, parameters=[bias])
    _step(optimizer, [bias], [[0.25]])
    optimizer.set_lr(0.0)
    _step(optimizer, [bias], [[8.0]])
    assert bias.item() == 1.0 - 0.25 - 0.125


def test_biases_and_batch_norm_have_neither_decay_nor_trust():
    bias = _parameter([2.0, -2.0])
    optimizer = Lars(0.5, momentum=0.9, weight_decay=10.0, parameters=[bias])
    _step(optimizer, [bias], [[1.0, 0.0]])
    np.testing.assert_array_equal(bias.numpy(), [1.5, -2.0])


@pytest.mark.parametrize(
    ("weight", "gradient", "moved"),
    [([[0.0, 0.0]], [[3.0, 4.0]], [[-0.3, -0.4]]), ([[3.0, 4.0]], [[0.0, 0.0]], [[3.0, 4.0]])],
    ids=["zero weight", "zero gradient"],
)
def test_trust_is_1_where_a_norm_is_zero(weight, gradient, moved):
    parameter = _parameter(weight)
    _step(Lars(0.1, momentum=0.9, weight_decay=0.0, parameters=[parameter]), [parameter], [gradient])
    np.testing.assert_allclose(parameter.numpy(), moved, rtol=1e-6)


def test_a_weight_of_millions_moves_by_its_exact_share():
    weight = _parameter(np.full((2048, 1024), 0.03) + np.random.default_rng(0).normal(0, 0.1, (2048, 1024)))
    before = weight.numpy().astype("float64")
    gradient = np.zeros(weight.shape)
    gradient[0, 0] = 1.0
    # The whole step lands in one entry: rate * TRUST * |w|.
    _step(Lars(1.0, momentum=0.9, weight_decay=0.0, parameters=[weight]), [weight], [gradient])
    share = (before - weight.numpy())[0, 0] / np.linalg.norm(before)
    assert share == pytest.approx(TRUST, rel=1e-5)


def test_a_parameter_without_gradient_stays_and_all_stay_trainable():
    used, unused = _parameter(np.ones((2, 2))), _parameter(np.ones((2, 2)))
    optimizer = Lars(0.1, momentum=0.9, weight_decay=0.1, parameters=[used, unused])
    _step(optimizer, [used], [np.ones((2, 2))])
    np.testing.assert_array_equal(unused.numpy(), np.ones((2, 2)))
    assert not used.stop_gradient
    assert [key.startswith(f"{used.name}_velocity") for key in optimizer.state_dict()] == [True]
