"""Batches made ahead of the one that trains: by a thread, or by processes that write into shared memory."""

from __future__ import annotations

import math
import mmap
import multiprocessing
import os
import signal
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

import cv2
import numpy as np

from ppcds.errors import UserError

HELD = 2  # batches whose memory may be in use behind the loop: the one that trains and the one before
Layout = list  # of (shape, dtype) of each array of a batch


def ahead_by_thread(make: Callable, parts: Iterable) -> Iterator:
    """make(part) of each part in turn, the next one in work while one is used.

    Not Paddle's reading thread, which hangs the run if an image is broken.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        making = deque()
        for part in parts:
            making.append(thread.submit(make, part))
            if len(making) > 1:
                yield making.popleft().result()
        yield from (made.result() for made in making)


class ReadingProcesses:
    """Processes that make batches: make(part, out) of each part, `out` arrays of its layout in shared memory.

    The memory of a batch is used again when nothing refers to its arrays any more: the pages of new shared
    memory cost more than the views that are written into it. Whoever keeps batches gets copies.
    It is anonymous memory that the processes inherit, so no limit of /dev/shm applies, and nothing is left
    behind however the run ends.

    Raises OSError, ImportError or NotImplementedError if they cannot be started.
    """

    def __init__(self, make: Callable, parts: list, layouts: list[Layout], num_processes: int) -> None:
        # The processes are the parallelism. Here, and not in each: a forked process that gives up the threads
        # which this one has begun waits for them without end.
        cv2.setNumThreads(1)
        self.todo = deque(zip(parts, layouts))
        self.ahead = num_processes + 2
        size = max(map(_bytes_of, layouts))
        self.slots = [mmap.mmap(-1, size) for _ in range(min(self.ahead + HELD, len(parts)))]
        if "fork" not in multiprocessing.get_all_start_methods():
            raise NotImplementedError("this system cannot fork a process")
        context = multiprocessing.get_context("fork")
        self.pool = ProcessPoolExecutor(num_processes, context, _start, (make, self.slots, os.getpid()))
        before = multiprocessing.active_children()
        try:
            self.pool.submit(os.getpid)  # starts all of them
        except OSError:  # some of them: these would wait for work, and this process at its end for them
            for process in set(multiprocessing.active_children()).difference(before):
                process.kill()
            raise
        self.processes = set(multiprocessing.active_children()).difference(before)

    def batches(self) -> Iterator[list[np.ndarray]]:
        """The arrays of each part in turn. Raises what `make` raises, and UserError if a process dies."""
        free, waiting = list(range(len(self.slots))), deque()
        try:
            while self.todo or waiting:
                while self.todo and free and len(waiting) < self.ahead:
                    part, layout = self.todo.popleft()
                    slot = free.pop()
                    waiting.append((slot, layout, self.pool.submit(_fill, slot, part, layout)))
                slot, layout, made = waiting.popleft()
                made.result()
                memory = np.frombuffer(self.slots[slot], np.uint8)
                weakref.finalize(memory, free.append, slot)
                arrays = _arrays_in(memory, layout)
                if self.todo and len(self.slots) - len(free) - len(waiting) > HELD:
                    arrays = [array.copy() for array in arrays]
                del memory
                yield arrays
                del arrays
        except BrokenProcessPool:
            self.pool.shutdown(wait=True)  # until it has ended the other processes too
            raise UserError(
                f"a reading process was ended from outside{self._by_signal()}, perhaps for want of memory: "
                "lower data.num_workers or data.batch_size"
            ) from None
        finally:
            self.pool.shutdown(wait=True, cancel_futures=True)

    def _by_signal(self) -> str:
        """The signal that has ended a process, in words. The pool ends the rest of them by SIGTERM."""
        ends = {-(process.exitcode or 0) for process in self.processes}
        ends = {number for number in ends if number > 0}
        named = (ends - {signal.SIGTERM} or ends) & set(signal.Signals)
        return f" by {' and '.join(signal.Signals(number).name for number in sorted(named))}" if named else ""


def _bytes_of(layout: Layout) -> int:
    return sum(_aligned(math.prod(shape) * np.dtype(dtype).itemsize) for shape, dtype in layout)


def _aligned(size: int) -> int:
    return -(-size // 64) * 64


def _arrays_in(memory: np.ndarray, layout: Layout) -> list[np.ndarray]:
    arrays, start = [], 0
    for shape, dtype in layout:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        arrays.append(memory[start : start + size].view(dtype).reshape(shape))
        start += _aligned(size)
    return arrays


_here: dict = {}  # of a reading process: make, slots


def _start(make: Callable, slots: list[mmap.mmap], parent: int) -> None:
    os.setpgrp()  # a signal to the run's process group is for the run, which then ends its processes
    for number in (signal.SIGINT, signal.SIGTERM):  # not kept until a step is done, as in the run
        signal.signal(number, signal.SIG_DFL)
    _here.update(make=make, slots=slots)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: nobody would give it work or end it."""
    while os.getppid() == parent:
        wait([multiprocessing.parent_process().sentinel], timeout=0.5)
    os._exit(1)


def _fill(slot: int, part, layout: Layout) -> None:
    _here["make"](part, _arrays_in(np.frombuffer(_here["slots"][slot], np.uint8), layout))
