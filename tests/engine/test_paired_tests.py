"""McNemar, bootstrap and Holm against numbers by hand."""

import numpy as np
import pytest

from ppcds.engine.paired_tests import compare_paired, holm


def answers(both, only_first, only_second, neither):
    first = [True] * (both + only_first) + [False] * (only_second + neither)
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return np.array(first), np.array(second)


def test_p_is_that_of_a_fair_coin_on_the_images_that_one_alone_has_right():
    result = compare_paired(*answers(both=50, only_first=1, only_second=5, neither=4))
    assert (result.only_first, result.only_second, result.images) == (1, 5, 60)
    assert result.p_value == pytest.approx(2 * (1 + 6) / 2**6)  # at most one of six, on either side
    assert result.difference == pytest.approx(4 / 60)


def test_images_that_both_have_right_or_wrong_change_nothing_in_p():
    few = compare_paired(*answers(0, 2, 9, 0))
    many = compare_paired(*answers(500, 2, 9, 300))
    assert few.p_value == many.p_value == pytest.approx(2 * (1 + 11 + 55) / 2**11)


def test_networks_that_agree_everywhere_are_not_told_apart():
    result = compare_paired(*answers(7, 0, 0, 3))
    assert (result.p_value, result.difference, result.low, result.high) == (1, 0, 0, 0)


def test_interval_is_that_of_images_drawn_with_replacement():
    first, second = answers(60, 10, 25, 5)
    result = compare_paired(first, second)
    drawn = np.random.default_rng(1).integers(0, 100, (20_000, 100))
    differences = second[drawn].mean(axis=1) - first[drawn].mean(axis=1)
    low, high = np.percentile(differences, [2.5, 97.5])
    assert result.low == pytest.approx(low, abs=0.011) and result.high == pytest.approx(high, abs=0.011)
    assert compare_paired(second, first).difference == -result.difference


def test_answers_to_other_numbers_of_images_are_not_paired():
    with pytest.raises(ValueError, match="paired"):
        compare_paired(np.ones(3, bool), np.ones(4, bool))


def test_holm_multiplies_by_the_tests_that_are_left_and_never_falls():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1, 1] and holm([]) == []
