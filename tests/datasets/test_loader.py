"""Batches that follow from seed, epoch and position."""

import subprocess
import sys

import numpy as np
import pytest
from paddle.io import Dataset

from ppcds.datasets.loader import batches_of, load_batches, train_batches
from ppcds.errors import UserError


class Noise(Dataset):
    """Twelve examples of two random views; row 5 is broken if asked for."""

    def __init__(self, broken=False):
        super().__init__()
        self.broken = broken

    def __len__(self):
        return 12

    def __getitem__(self, index):
        if self.broken and index == 5:
            raise UserError("noise/5.jpg is a truncated JPEG")
        return [np.random.rand(3, 4, 4).astype("float32") for _ in range(2)], index


def read(batches, workers=0, seed=0, epoch=0, **options):
    loaded = load_batches(Noise(**options), batches, workers, seed, epoch)
    return [([view.numpy() for view in views], labels.numpy()) for views, labels in loaded]


def test_views_and_labels_are_stacked_by_view():
    (views, labels), *_ = read([[3, 1], [2]])
    assert [view.shape for view in views] == [(2, 3, 4, 4)] * 2
    assert labels.tolist() == [3, 1]
    assert labels.dtype == np.int64


@pytest.mark.parametrize("workers", [0, 2])
def test_an_example_draws_the_same_views_whoever_reads_it_and_wherever_it_stands(workers):
    everything = {int(label): views[0][0] for views, (label,) in read([[i] for i in range(12)])}
    for views, labels in read([[7, 2, 9], [0, 11]], workers):
        for image, label in zip(views[0], labels):
            np.testing.assert_array_equal(image, everything[int(label)])


AFTER_OPENCV = """
import cv2, numpy as np, time
from paddle.io import Dataset
from ppcds.datasets.loader import load_batches

class Images(Dataset):
    def __len__(self): return 4
    def __getitem__(self, index): return [cv2.resize(large, (32, 32)).astype("float32")], index

large = np.zeros((2000, 2000, 3), "uint8")
cv2.setNumThreads(2)
cv2.resize(large, (1000, 1000))
time.sleep(0.5)  # until they sleep
print([labels.tolist() for _, labels in load_batches(Images(), [[0, 1], [2, 3]], num_workers=2)])
"""


def test_reading_processes_start_after_opencv_has_used_its_threads():
    """They would wait for ever for threads that only the first process has."""
    done = subprocess.run(
        [sys.executable, "-c", AFTER_OPENCV], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[[0, 1], [2, 3]]"


def test_another_epoch_or_seed_draws_other_views():
    first, *others = (
        read([[0]], seed=seed, epoch=epoch)[0][0][0] for seed, epoch in [(0, 0), (0, 1), (1, 0)]
    )
    assert all(np.abs(first - other).max() > 0.1 for other in others)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_ends_the_loop_with_its_name(workers):
    with pytest.raises(UserError, match="noise/5.jpg is a truncated JPEG"):
        read([[1, 2], [4, 5], [6, 7]], workers, broken=True)


def test_an_epoch_visits_every_row_once_in_an_order_of_its_own():
    first, again, second = (train_batches(Noise(), 4, False, 0, epoch) for epoch in (0, 0, 1))
    assert sorted(sum(first, [])) == list(range(12))
    assert first == again != second


def test_drop_last_drops_what_does_not_fill_a_batch():
    assert [len(rows) for rows in batches_of(12, 5, drop_last=True)] == [5, 5]
    assert [len(rows) for rows in batches_of(12, 5, drop_last=False)] == [5, 5, 2]


def test_a_batch_larger_than_the_data_set_is_refused():
    with pytest.raises(UserError, match=r"data.batch_size 13 is larger than the 12 training images"):
        train_batches(Noise(), 13, True, 0, 0)
    assert len(train_batches(Noise(), 13, False, 0, 0)) == 1


def test_a_small_shared_memory_falls_back_to_one_thread_in_words(monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("ppcds.datasets.loader.shutil.disk_usage", lambda path: usage)
    with pytest.warns(UserWarning, match="/dev/shm has no room .* one thread reads instead"):
        fallen_back = read([[1, 2], [3, 4]], workers=2)
    for (views, labels), (expected, wanted) in zip(fallen_back, read([[1, 2], [3, 4]])):
        np.testing.assert_array_equal(views[0], expected[0])
        assert labels.tolist() == wanted.tolist()
