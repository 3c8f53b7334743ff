"""Processes that read images: what becomes of a run when one dies, or cannot be started, or has no room."""

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

import paddle
import pytest
from twelve_pictures import BATCHES, Pictures, assert_same, read

from ppcds.datasets import reading
from ppcds.datasets.loader import load_batches
from ppcds.engine.stop import StopRequest
from ppcds.errors import UserError

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
from tests.twelve_pictures import BATCHES, Pictures
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
from tests.twelve_pictures import BATCHES, Pictures
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
