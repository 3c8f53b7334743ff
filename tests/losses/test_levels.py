from __future__ import annotations

import math

import numpy as np
import paddle
import pytest

from ppcds.losses import (
    chance_level,
    contrast_levels,
    info_nce_loss,
    lowest_level,
    nt_xent_loss,
    supcon_loss,
)


def test_chance_is_the_loss_of_equal_embeddings():
    same, labels = paddle.ones([6, 4]), paddle.to_tensor([0, 0, 0, 1, 1, -1])
    for loss, candidates in (
        (nt_xent_loss([same, same], 0.1), 2 * 6 - 1),
        (nt_xent_loss([same, same], 0.1, "cross"), 6),
        (info_nce_loss(same, same, paddle.ones([9, 4]), 0.1), 1 + 9),
        (supcon_loss([same, same, same], labels, 0.1), 3 * 6 - 1),
    ):
        assert float(loss) == pytest.approx(chance_level(candidates), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_lowest_level_is_reached_with_all_negatives_opposite(temperature):
    query = paddle.to_tensor([[1.0, 0.0]])
    loss = info_nce_loss(query, query, -paddle.concat([query] * 9), temperature)
    assert float(loss) == pytest.approx(lowest_level(10, temperature), rel=1e-5)


def test_random_embeddings_are_never_below_the_lowest_level():
    rng = np.random.default_rng(0)
    for temperature in (0.05, 0.5, 5.0):
        views = [paddle.to_tensor(view) for view in rng.standard_normal((2, 8, 2))]
        assert float(nt_xent_loss(views, temperature)) >= lowest_level(15, temperature)


def test_the_lowest_level_rises_from_0_to_chance_with_the_temperature():
    levels = [lowest_level(255, temperature) for temperature in (1e-3, 0.1, 1, 10, 1e6)]
    assert levels == sorted(levels)
    assert levels[0] == 0 and levels[-1] == pytest.approx(math.log(255), rel=1e-4)


def test_one_candidate_is_worth_0_and_none_is_refused():
    assert chance_level(1) == lowest_level(1, 0.1) == 0
    for level in (lambda: chance_level(0), lambda: lowest_level(0, 0.1)):
        with pytest.raises(ValueError, match="0 candidates"):
            level()
    with pytest.raises(ValueError, match="^temperature must be above 0$"):
        lowest_level(10, 0)


def test_levels_are_noted_beside_their_loss_with_its_weight():
    chance, lowest = chance_level(7), lowest_level(7, 0.5)
    assert contrast_levels("moco", 7, 0.5) == {"moco_chance": chance, "moco_lowest": lowest}
    halves = {"a_chance": pytest.approx(chance / 2), "a_lowest": pytest.approx(lowest / 2)}
    assert contrast_levels("a", 7, 0.5, weight=0.5) == halves
