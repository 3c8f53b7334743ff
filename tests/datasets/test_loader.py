"""Batches that follow from seed, epoch and position, whatever processes read them."""

import numpy as np
import pytest
from twelve_pictures import BATCHES, Pictures, assert_same, read

from ppcds.datasets.loader import batches_of, load_batches, train_batches
from ppcds.errors import UserError
from ppcds.transforms import build_view, notebook_views


def test_views_and_labels_are_stacked_by_view():
    (views, labels), *_ = read([[3, 1], [2]])
    assert [view.shape for view in views] == [(2, 3, 8, 12)] * 2
    assert [view.dtype for view in views] == [np.float32] * 2
    assert labels.tolist() == [3, 1] and labels.dtype == np.int64


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_seed_gives_the_same_batches_whatever_the_number_of_processes(workers):
    assert_same(read(BATCHES, workers, seed=3, epoch=2), read(BATCHES, 0, seed=3, epoch=2))


def test_batches_that_are_kept_stay_as_they_were():
    """More of them than the processes have memory to write into."""
    kept = list(load_batches(Pictures(), BATCHES, 2))
    expected = read(BATCHES)
    assert_same([([view.numpy() for view in views], labels.numpy()) for views, labels in kept], expected)


def test_a_run_that_goes_on_inside_an_epoch_sees_what_the_undisturbed_one_saw():
    whole = read(BATCHES, seed=1)
    assert_same(read(BATCHES[4:], seed=1, first_batch=4), whole[4:])
    assert np.abs(read(BATCHES[4:5], seed=1)[0][0][0] - whole[4][0][0]).max() > 0.1


@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_make_the_rows_of_the_whole_batch_between_them(workers):
    batches = [[3, 1, 4, 1], [5, 9, 2, 6]]
    parts = [read(batches, workers, seed=4, rank=rank, num_ranks=2) for rank in (0, 1)]
    together = []
    for (views, labels), (others, more_labels) in zip(*parts):
        whole = [np.concatenate(pair) for pair in zip(views, others)]
        together.append((whole, np.concatenate([labels, more_labels])))
    assert_same(together, read(batches, seed=4))


def test_a_batch_that_ranks_cannot_share_equally_is_refused():
    with pytest.raises(UserError, match="a batch of 3 images cannot be shared equally by 2 processes"):
        read([[1, 2], [1, 2, 3]], rank=1, num_ranks=2)


def test_an_image_that_comes_twice_in_a_batch_or_epoch_has_other_views():
    ((first, second), _), (third, _) = [(views[1], labels) for views, labels in read([[5, 5], [5]], seed=9)]
    for one, other in ((first, second), (first, third[0])):
        assert np.abs(one - other).max() > 0.1


def test_the_first_view_is_the_same_with_and_without_a_second():
    one = read(BATCHES, dataset=Pictures(views=notebook_views()[:1]))
    for (views, _), ((alone,), _) in zip(read(BATCHES), one):
        np.testing.assert_array_equal(views[0], alone)


def test_views_may_be_any_functions_and_are_repeatable_then_too():
    def noise(image):
        return np.random.rand(3, 4, 4).astype("float32")

    first, again = (read(BATCHES, workers, dataset=Pictures(views=[noise])) for workers in (0, 2))
    assert_same(again, first)
    assert np.abs(first[0][0][0][0] - first[0][0][0][1]).max() > 0.1


@pytest.mark.parametrize("workers", [0, 2])
def test_views_on_the_device_are_those_of_the_processor(workers):
    steps = [
        [{"RandomCrop": {"padding": 2}}, "RandomHorizontalFlip", "ToArray"],
        ["RandomHorizontalFlip", {"ColorJitter": {"brightness": 0.4, "contrast": 0.4}}, "ToArray"],
    ]
    on_processor, on_device = (
        read(BATCHES, workers, dataset=Pictures(views=[build_view(view, on_device=device) for view in steps]))
        for device in (False, True)
    )
    for (views, labels), (others, wanted) in zip(on_device, on_processor):
        assert labels.tolist() == wanted.tolist()
        for view, other in zip(views, others):
            assert np.abs(view - other).max() < 1.01 / 255


def test_another_epoch_or_seed_draws_other_views():
    first, *others = (
        read([[0, 1, 2]], seed=seed, epoch=epoch)[0][0][0] for seed, epoch in [(0, 0), (0, 1), (1, 0)]
    )
    assert all(np.abs(first - other).max() > 0.1 for other in others)


def test_an_epoch_visits_every_row_once_in_an_order_of_its_own():
    first, again, second = (train_batches(Pictures(), 4, False, 0, epoch) for epoch in (0, 0, 1))
    assert sorted(sum(first, [])) == list(range(12))
    assert first == again != second


def test_drop_last_drops_what_does_not_fill_a_batch():
    assert [len(rows) for rows in batches_of(12, 5, drop_last=True)] == [5, 5]
    assert [len(rows) for rows in batches_of(12, 5, drop_last=False)] == [5, 5, 2]


def test_a_batch_larger_than_the_data_set_is_refused():
    with pytest.raises(UserError, match=r"data.batch_size 13 is larger than the 12 training images"):
        train_batches(Pictures(), 13, True, 0, 0)
    assert len(train_batches(Pictures(), 13, False, 0, 0)) == 1
