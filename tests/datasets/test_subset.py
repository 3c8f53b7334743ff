"""Which rows are trained on, keep their label or are held back."""

import numpy as np
import pytest

from ppcds.datasets.subset import hold_back, labelled_subset, stratified_order, stratified_part


def random_labels(seed):
    """Classes from one row to sixty, in any order, some rows unlabelled."""
    random = np.random.RandomState(seed)
    counts = [random.randint(1, 60 if random.rand() < 0.5 else 4) for _ in range(random.randint(1, 12))]
    labels = np.repeat(np.arange(len(counts)), counts)
    return random.permutation(np.concatenate([labels, np.full(random.randint(0, 9), -1)]))


@pytest.mark.parametrize("seed", range(20))
def test_every_beginning_of_the_order_has_its_share_of_each_class_rounded_up_or_down(seed):
    labels = random_labels(seed)
    order = stratified_order(labels, seed)
    assert sorted(order) == np.flatnonzero(labels >= 0).tolist()
    classes, counts = np.unique(labels[order], return_counts=True)
    found = (labels[order][:, None] == classes).cumsum(0)
    fair = np.arange(1, len(order) + 1)[:, None] * counts / len(order)
    assert np.abs(found - fair).max() < 1


def test_the_order_is_frozen():
    labels = np.array([0, 1, 2, 0, 1, -1, 0, 0, 1, 0, 2, -1])
    assert stratified_order(labels, 0).tolist() == [9, 4, 7, 2, 3, 1, 0, 10, 8, 6]
    assert stratified_order(labels, 1).tolist() == [7, 4, 0, 2, 3, 1, 9, 10, 8, 6]
    assert labelled_subset(np.arange(40) % 4, 0.2, 7).tolist() == [15, 17, 18, 27, 32, 34, 36, 37]


def test_a_seed_draws_its_own_rows_whatever_numpy_drew_before():
    labels = np.arange(200) % 10
    np.random.seed(3)
    first = labelled_subset(labels, 0.1, 0)
    np.random.seed(4)
    np.testing.assert_array_equal(labelled_subset(labels, 0.1, 0), first)
    assert set(first) != set(labelled_subset(labels, 0.1, 1))


@pytest.mark.parametrize("seed", range(5))
def test_the_labels_of_a_small_fraction_are_among_those_of_a_larger_one(seed):
    labels, before = random_labels(seed), set()
    for fraction in (0.01, 0.05, 0.1, 0.2, 0.4, 0.999, 1):
        kept = labelled_subset(labels, fraction, seed)
        assert before <= set(kept)
        before = set(kept)
    assert sorted(before) == np.flatnonzero(labels >= 0).tolist()


def test_each_class_keeps_its_fraction_of_labels_and_at_least_one():
    labels = np.repeat([0, 1, 2, -1], [1000, 60, 3, 500])
    for fraction, expected in ((0.01, [10, 1, 1]), (0.1, [100, 6, 1]), (0.4, [400, 24, 1])):
        kept = labelled_subset(labels, fraction, 0)
        assert np.bincount(labels[kept]).tolist() == expected
        assert (np.diff(kept) > 0).all()


def test_a_part_of_the_images_has_the_shares_of_the_whole_unlabelled_ones_included():
    labels = np.random.RandomState(0).permutation(np.repeat([0, 1, 2, -1], [100, 60, 40, 600]))
    small, large = (stratified_part(labels, count, 0) for count in (80, 200))
    assert [int((labels[small] == label).sum()) for label in (0, 1, 2, -1)] == [10, 6, 4, 60]
    assert set(small) <= set(large)
    assert stratified_part(labels, 800, 0).tolist() == list(range(800))


def test_held_back_rows_are_stratified_labelled_and_gone_from_the_others():
    labels = np.random.RandomState(0).permutation(np.repeat([0, 1, 2, -1], [100, 60, 40, 50]))
    kept, held = hold_back(labels, 0.2, 0)
    assert np.bincount(labels[held]).tolist() == [20, 12, 8]
    assert sorted([*kept, *held]) == list(range(250))
    assert set(hold_back(labels, 0.1, 0)[1]) <= set(held)


def test_holding_back_leaves_each_class_an_image_and_takes_one_at_least():
    labels = np.array([0, 1, 1, 2, 2, 2])
    kept, held = hold_back(labels, 0.9, 0)
    assert sorted(labels[kept]) == [0, 1, 2] and sorted(labels[held]) == [1, 2, 2]
    assert len(hold_back(labels, 0.01, 0)[1]) == 1
    assert len(hold_back(np.array([0, 1, 2]), 0.5, 0)[1]) == 0


def test_nothing_is_held_back_of_a_share_of_zero_and_nothing_labelled_is_no_problem():
    kept, held = hold_back(np.array([0, -1, 1]), 0.0, 0)
    assert kept.tolist() == [0, 1, 2] and held.tolist() == []
    unlabelled = np.full(4, -1)
    assert stratified_order(unlabelled, 0).tolist() == []
    assert labelled_subset(unlabelled, 0.5, 0).tolist() == []
    assert hold_back(unlabelled, 0.5, 0)[0].tolist() == [0, 1, 2, 3]
    assert len(stratified_part(unlabelled, 2, 0)) == 2


@pytest.mark.parametrize(
    ("subset", "number"),
    [
        (labelled_subset, 0),
        (labelled_subset, 1.1),
        (stratified_part, 0),
        (stratified_part, 4),
        (hold_back, 1),
        (hold_back, -0.1),
    ],
)
def test_a_share_that_cannot_be_is_refused(subset, number):
    with pytest.raises(ValueError):
        subset(np.array([0, 1, 1]), number, 0)
