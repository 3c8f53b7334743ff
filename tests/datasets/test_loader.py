"""Batches that follow from seed, epoch and position."""

import errno
import faulthandler
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import paddle
import pytest

from ppcds.datasets import reading
from ppcds.datasets.loader import batches_of, load_batches, train_batches
from ppcds.engine.stop import StopRequest
from ppcds.errors import UserError
from ppcds.transforms import build_view, notebook_views

SHAPE = (8, 12, 3)


class Pictures:
    """Twelve images, seen through the notebook's two views; row 5 is broken if asked for."""

    def __init__(self, broken=False, views=None):
        self.pixels = np.random.RandomState(0).randint(0, 256, (12, *SHAPE), dtype=np.uint8)
        self.labels = np.arange(12)
        self.views = notebook_views() if views is None else views
        self.broken = broken

    def __len__(self):
        return len(self.labels)

    def load_images(self, rows):
        if self.broken and 5 in rows:
            raise UserError("pictures/5.jpg is a truncated JPEG")
        return self.pixels[rows]


def read(batches, workers=0, seed=0, epoch=0, dataset=None, **options):
    loaded = load_batches(dataset or Pictures(), batches, workers, seed, epoch, **options)
    return [([view.numpy() for view in views], labels.numpy()) for views, labels in loaded]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for (views, labels), (others, wanted) in zip(found, expected):
        assert labels.tolist() == wanted.tolist()
        for view, other in zip(views, others):
            np.testing.assert_array_equal(view, other)


BATCHES = [[3, 1, 4], [1, 5, 9], [2, 6, 8], [5, 3, 5], [8, 9, 7], [9, 3, 2], [3, 8], [4, 6, 2], [6], [4, 3]]


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


AFTER_OPENCV = """
import cv2, numpy as np, time
from ppcds.datasets.loader import load_batches
from ppcds.transforms import evaluation_view

class Images:
    labels, views = np.arange(4), [evaluation_view()]
    def load_images(self, rows): return [cv2.resize(large, (32, 32)) for row in rows]

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
        read([[0, 1, 2]], seed=seed, epoch=epoch)[0][0][0] for seed, epoch in [(0, 0), (0, 1), (1, 0)]
    )
    assert all(np.abs(first - other).max() > 0.1 for other in others)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_ends_the_loop_with_its_name(workers):
    loaded = load_batches(Pictures(broken=True), [[1, 2], [4, 5], [6, 7]], workers)
    assert next(loaded)[1].tolist() == [1, 2]
    with pytest.raises(UserError, match="pictures/5.jpg is a truncated JPEG"):
        next(loaded)


class Ended(Pictures):
    """What reads its row 5 is ended by a signal, by SIGKILL where a system has no memory left."""

    def __init__(self, by):
        super().__init__()
        self.by = by

    def load_images(self, rows):
        if 5 in rows:
            faulthandler.disable()  # pytest's, which would tell of a bus error
            os.kill(os.getpid(), self.by)
        return super().load_images(rows)


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGBUS, signal.SIGTERM])
def test_a_reading_process_that_dies_ends_the_run_in_words(by):
    with pytest.raises(UserError, match=f"ended from outside by {by.name}, perhaps.*lower data.num_workers"):
        read([[1, 2], [4, 5], [6, 7]], 2, dataset=Ended(by))


@pytest.mark.parametrize("number", [0, 1])
def test_an_idle_reading_process_that_dies_takes_the_other_along_though_the_run_keeps_its_signals(number):
    """One of them waits for work, and the other for it; a run keeps SIGTERM for the end of a step, and what
    it forks would keep it for ever.
    """
    before = set(multiprocessing.active_children())
    with StopRequest(), pytest.raises(UserError, match="by SIGKILL"):
        for _ in load_batches(Pictures(), BATCHES * 3, 2):
            time.sleep(0.5)  # until everything ahead is made
            readers = sorted(set(multiprocessing.active_children()) - before, key=lambda reader: reader.pid)
            os.kill(readers[number].pid, signal.SIGKILL)
            time.sleep(0.2)


class Exhausted(Pictures):
    def load_images(self, rows):
        if len(rows) > 1:
            raise MemoryError("Unable to allocate 9.3 GiB")
        return super().load_images(rows)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_that_no_memory_is_left_for_ends_the_run_in_words(workers):
    with pytest.raises(UserError, match=r"no memory .*\(Unable to allocate 9.3 GiB\): lower data.batch_size"):
        read([[1, 2]], workers, dataset=Exhausted())


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="not Linux")
def test_batches_of_processes_are_in_memory_that_dev_shm_has_no_part_in():
    """Which is 64 MB in a container, and where a write into what it cannot hold kills by SIGBUS."""
    layouts = [[((4,), "float32")]] * 3
    for (array,) in reading.ReadingProcesses(_write, [1, 2, 3], layouts, 2).batches():
        for line in Path("/proc/self/maps").read_text().splitlines():
            first, last = (int(end, 16) for end in line.split()[0].split("-"))
            if first <= array.ctypes.data < last:
                break
        assert line.split(maxsplit=5)[-1] == "/dev/zero (deleted)"  # anonymous and shared


def _write(part, out):
    out[0][:] = part


ONE_MEGABYTE = """
mount -t tmpfs -o size=1m tmpfs /dev/shm && exec "$0" -c '
import numpy as np
from ppcds.datasets.loader import load_batches
from ppcds.transforms import notebook_views

class Large:
    labels, views = np.arange(64), notebook_views()
    def load_images(self, rows): return np.zeros((len(rows), 96, 96, 3), np.uint8)

batches = [list(range(64))] * 4  # of 14 MB each
print(sum(view.size * 4 for views, _ in load_batches(Large(), batches, 2) for view in views))
'
"""


def test_a_dev_shm_of_one_megabyte_is_enough_for_batches_of_fourteen():
    command = ["unshare", "--mount", "sh", "-c", ONE_MEGABYTE, sys.executable]
    if not shutil.which("unshare") or subprocess.run(["unshare", "--mount", "true"]).returncode:
        pytest.skip("this system does not let us mount a small /dev/shm")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 4 * 2 * 64 * 3 * 96 * 96 * 4 and "reads instead" not in done.stderr


ORPHANS = """
import os, sys
from tests.datasets.test_loader import BATCHES, Pictures
from ppcds.datasets.loader import load_batches

class Numbered(Pictures):
    def load_images(self, rows):
        print(os.getpid(), flush=True)
        return super().load_images(rows)

loaded = load_batches(Numbered(), BATCHES, 2)
next(loaded)
os.kill(os.getpid(), 9)
"""


def test_reading_processes_end_when_their_run_is_killed():
    done = subprocess.run([sys.executable, "-c", ORPHANS], capture_output=True, text=True, timeout=60)
    readers = {int(line) for line in done.stdout.split()[1:]}  # the first is the run itself
    assert readers
    until = time.monotonic() + 20
    while any(_runs(reader) for reader in readers):
        assert time.monotonic() < until, "still there"
        time.sleep(0.1)


def _runs(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


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


def test_a_batch_is_copied_to_another_device_by_a_thread_and_in_order(monkeypatch):
    """The processor under another name: there is no other device here."""
    expected = read(BATCHES, 2)
    monkeypatch.setattr(paddle.device, "get_device", lambda: "cpu:0")
    copied_in = set()
    original = paddle.to_tensor

    def to_tensor(array, place=None, **options):
        if place:
            copied_in.add(threading.current_thread())
        return original(array, place=place and "cpu", **options)

    monkeypatch.setattr(paddle, "to_tensor", to_tensor)
    assert_same(read(BATCHES, 2), expected)
    assert len(copied_in) == 1 and threading.main_thread() not in copied_in


def test_without_room_for_semaphores_one_thread_reads_in_words(monkeypatch):
    def no_room(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(reading, "ProcessPoolExecutor", no_room)
    with pytest.warns(UserWarning, match="2 reading processes cannot be started .*No space left.*one thread"):
        fallen_back = read(BATCHES, workers=2)
    assert_same(fallen_back, read(BATCHES))


ONE_FORK = """
import os
from tests.datasets.test_loader import BATCHES, Pictures
from ppcds.datasets.loader import load_batches

def fork_once():
    os.fork = refuse
    return fork()

def refuse():
    raise BlockingIOError(11, "Resource temporarily unavailable")

fork, os.fork = os.fork, fork_once
print(len(list(load_batches(Pictures(), BATCHES, 3))))
"""


def test_a_run_ends_where_only_one_of_its_reading_processes_could_be_started():
    """Which would wait for work, while the run waits for it."""
    done = subprocess.run([sys.executable, "-c", ONE_FORK], capture_output=True, text=True, timeout=60)
    assert done.stdout == "10\n" and "Resource temporarily unavailable" in done.stderr
    assert done.returncode == 0


def test_memory_is_used_again_and_not_copied():
    addresses = {views[0].data_ptr() for views, _ in load_batches(Pictures(), [[1, 2]] * 40, 1)}
    assert len(addresses) <= 1 + 2 + reading.HELD
