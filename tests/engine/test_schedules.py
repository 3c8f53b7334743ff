"""Schedules against tables computed by hand."""

import numpy as np
import pytest
from paddle.optimizer.lr import MultiStepDecay

from ppcds.config import load_recipe
from ppcds.engine.schedules import learning_rate


def _optim(rate: float, epochs: int, schedule: str, **options: float):
    overrides = [f"optim.schedule.{name}={value}" for name, value in options.items()]
    start = [f"optim.learning_rate={rate}", f"optim.epochs={epochs}", f"optim.schedule.name={schedule}"]
    return load_recipe("sports10", [*start, *overrides]).optim


def test_the_notebooks_schedule_multiplies_by_0_8_at_30_50_90():
    optim = load_recipe("sports10").optim
    table = {0: 0.1, 29: 0.1, 30: 0.08, 49: 0.08, 50: 0.064, 89: 0.064, 90: 0.0512, 99: 0.0512}
    assert {epoch: learning_rate(optim, epoch) for epoch in table} == pytest.approx(table)


@pytest.mark.parametrize("recipe", ["sports10", "cifar10_cds"])
def test_each_step_of_an_epoch_has_exactly_the_rate_that_paddle_gives_the_epoch(recipe):
    optim = load_recipe(recipe).optim
    paddles = MultiStepDecay(optim.learning_rate, optim.schedule.milestones, optim.schedule.gamma)
    for epoch in range(optim.epochs):
        assert learning_rate(optim, epoch) == learning_rate(optim, epoch + 1170 / 1171) == paddles.get_lr()
        paddles.step()


def test_ten_steps_of_warm_up_and_cosine_equal_the_table():
    optim = _optim(0.8, epochs=5, schedule="cosine", warmup_epochs=2)
    steps = [learning_rate(optim, epoch + step / 2) for epoch in range(5) for step in range(2)]
    # Six cosine steps, 0 to 150 degrees: 0.4 * (1 + cos).
    falling = [0.8, 0.4 * (1 + 3**0.5 / 2), 0.6, 0.4, 0.2, 0.4 * (1 - 3**0.5 / 2)]
    assert steps == pytest.approx([0.0, 0.2, 0.4, 0.6, *falling])


def test_the_cosine_takes_over_where_the_warm_up_ends():
    optim = _optim(0.3, epochs=100, schedule="cosine", warmup_epochs=2.5)
    around = [learning_rate(optim, epoch) for epoch in (2.5 - 1e-9, 2.5, 2.5 + 1e-9)]
    assert around == pytest.approx([0.3, 0.3, 0.3])
    assert learning_rate(optim, 51.25) == pytest.approx(0.15)  # half way from 2.5 to 100


def test_a_cosine_without_warm_up_starts_at_the_full_rate_and_ends_at_zero():
    optim = _optim(0.5, epochs=4, schedule="cosine")
    rates = [learning_rate(optim, epoch) for epoch in np.linspace(0, 4, 41)]
    assert rates[0] == 0.5
    assert all(later < earlier for earlier, later in zip(rates, rates[1:]))
    assert rates[-1] == learning_rate(optim, 7) == 0.0


def test_a_run_may_be_warm_up_only():
    optim = _optim(0.5, epochs=2, schedule="cosine", warmup_epochs=2)
    assert [learning_rate(optim, epoch) for epoch in (0, 1, 1.5)] == [0.0, 0.25, 0.375]


def test_a_constant_rate_stays():
    optim = _optim(0.07, epochs=3, schedule="constant")
    assert {learning_rate(optim, epoch) for epoch in (0, 0.5, 2.99)} == {0.07}
