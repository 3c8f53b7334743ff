"""Batches of L labelled rows and the rest unlabelled."""

import itertools

import numpy as np
import pytest

from ppcds.datasets.loader import train_batches
from ppcds.datasets.mixed_batches import mixed_batches
from ppcds.errors import UserError


class Labelled:
    """A data set of which only length and labels are asked for."""

    def __init__(self, labels):
        self.labels = np.asarray(labels)

    def __len__(self):
        return len(self.labels)


def partly_labelled(labelled, unlabelled):
    labels = np.repeat([0, -1], [labelled, unlabelled])
    return Labelled(np.random.RandomState(0).permutation(labels))


def test_every_batch_has_its_labelled_rows_first_and_is_full():
    dataset = partly_labelled(30, 73)
    for drop_last, count in ((True, 10), (False, 11)):
        batches = train_batches(dataset, 10, drop_last, 0, 0, labelled_per_batch=3)
        assert len(batches) == count == len(train_batches(dataset, 10, drop_last, 0, 0))
        for rows in batches:
            assert len(rows) == 10 and all(type(row) is int for row in rows)
            assert (dataset.labels[rows] >= 0).tolist() == [True] * 3 + [False] * 7


@pytest.mark.parametrize("labelled", [1, 2, 3, 7, 10, 13, 16, 17, 31, 100])
@pytest.mark.parametrize("per_batch", [3, 8, 10])
def test_over_the_epochs_no_image_is_used_twice_more_than_another_nor_twice_in_a_batch(labelled, per_batch):
    dataset = partly_labelled(labelled, 120 - labelled)
    used = np.zeros(120, int)
    for epoch in range(12):
        for rows in train_batches(dataset, 12, True, 5, epoch, per_batch):
            if labelled >= per_batch:
                assert len(set(rows)) == 12
            np.add.at(used, rows, 1)
            for kind in (dataset.labels >= 0, dataset.labels < 0):
                assert np.ptp(used[kind]) <= 1
    assert used[dataset.labels >= 0].sum() == 12 * 10 * per_batch


def test_an_epoch_is_the_same_whichever_was_asked_for_before():
    dataset = partly_labelled(13, 40)
    epochs = [train_batches(dataset, 16, True, 0, epoch, 8) for epoch in range(30)]
    assert train_batches(dataset, 16, True, 0, 29, 8) == epochs[29]
    assert train_batches(dataset, 16, True, 0, 4, 8) == epochs[4]
    assert all(a != b for a, b in itertools.combinations(epochs[:6], 2))
    assert train_batches(dataset, 16, True, 1, 4, 8) != epochs[4]


def test_the_batches_are_frozen():
    labels = np.array([0, -1, 1, -1, -1, 0, -1])
    assert mixed_batches(labels, 3, 1, 3, 0, 1) == [
        [5, 3, 1],
        [0, 1, 3],
        [2, 4, 6],
    ]


def test_the_order_is_another_in_every_round():
    batches = train_batches(partly_labelled(6, 600), 6, True, 0, 0, 3)
    rounds = [tuple(row for rows in pair for row in rows[:3]) for pair in zip(batches[::2], batches[1::2])]
    assert len({tuple(sorted(rows)) for rows in rounds}) == 1
    assert len(set(rounds)) > len(rounds) // 2
    first = np.bincount(np.searchsorted(sorted(rounds[0]), [rows[0] for rows in rounds]), minlength=6)
    assert (first > 0).all()  # every image opens a round now and then


def test_batches_of_labelled_rows_alone_need_no_others():
    for unlabelled in (0, 30):
        dataset = partly_labelled(10, unlabelled)
        batches = train_batches(dataset, 5, True, 0, 0, labelled_per_batch=5)
        assert len(batches) == (10 + unlabelled) // 5
        assert all((dataset.labels[rows] >= 0).all() for rows in batches)


@pytest.mark.parametrize(
    ("labelled", "unlabelled", "per_batch", "message"),
    [
        (20, 0, 4, "data.labelled_per_batch 4 leaves 4 of a batch to unlabelled images, and there are none"),
        (0, 20, 4, "data.labelled_per_batch 4: no training image has a label"),
        (10, 10, 9, "data.labelled_per_batch 9 is larger than data.batch_size 8"),
        (2, 3, 4, "data.batch_size 8 is larger than the 5 training images"),
    ],
)
def test_what_cannot_be_filled_is_said(labelled, unlabelled, per_batch, message):
    with pytest.raises(UserError, match=message):
        train_batches(partly_labelled(labelled, unlabelled), 8, True, 0, 0, per_batch)


def test_a_late_epoch_of_a_large_set_takes_no_longer_than_an_early_one(monkeypatch):
    drawn = []
    original = np.random.RandomState
    monkeypatch.setattr(np.random, "RandomState", lambda seed: drawn.append(seed) or original(seed))
    train_batches(Labelled(np.repeat([0, -1], [997, 9001])), 100, True, 0, 799, 7)
    assert len(drawn) < 8
