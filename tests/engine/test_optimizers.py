"""Schedules and optimisers against tables computed by hand."""

import numpy as np
import paddle
import pytest

from ppcds.config import load_recipe
from ppcds.engine.optimizers import build_optimizer, build_schedule


def test_the_notebooks_schedule_multiplies_by_0_8_at_30_50_90():
    schedule = build_schedule(load_recipe("sports10").optim)
    table = {0: 0.1, 29: 0.1, 30: 0.08, 49: 0.08, 50: 0.064, 89: 0.064, 90: 0.0512, 99: 0.0512}
    for epoch, rate in table.items():
        schedule.step(epoch)
        assert schedule.get_lr() == pytest.approx(rate)


def test_any_epoch_can_be_asked_for_first():
    schedule = build_schedule(load_recipe("cifar10_cds").optim)
    schedule.step(180)
    assert schedule.get_lr() == pytest.approx(0.001)
    schedule.step(89)
    assert schedule.get_lr() == pytest.approx(0.1)


def test_momentum_adds_the_weight_decay_to_the_gradient_as_sgd_of_the_official_code_does():
    optim = load_recipe("sports10").optim
    weight = paddle.create_parameter([3], "float32")
    weight.set_value(np.array([1.0, -2.0, 3.0], dtype="float32"))
    optimizer = build_optimizer(optim, build_schedule(optim), [weight])
    expected, velocity, gradient = np.array([1.0, -2.0, 3.0]), 0.0, np.array([0.5, 0.25, -1.0])
    for _ in range(3):
        (weight * paddle.to_tensor(gradient.astype("float32"))).sum().backward()
        optimizer.step()
        optimizer.clear_grad()
        velocity = 0.9 * velocity + gradient + 5e-4 * expected
        expected = expected - 0.1 * velocity
    np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-6)
