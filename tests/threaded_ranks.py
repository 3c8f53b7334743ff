"""Ranks that are threads of one process: its collectives take milliseconds, and a test may watch them.

Real processes are in distributed/test_equality.py.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import paddle
import pytest

from ppcds.distributed import ranks


class ThreadedRanks:
    """paddle.distributed of `count` ranks, until the test ends.  gone: ranks that a heartbeat would miss."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
        self.count, self.here, self.gone, self.asked = count, threading.local(), [], []
        self.counts, self.counting = Counter(), threading.Lock()
        self.meeting, self.brought = threading.Barrier(count, timeout=10), [None] * count
        for name in ("is_initialized", "get_world_size", "get_rank", "all_gather", "all_reduce"):
            monkeypatch.setattr(paddle.distributed, name, getattr(self, name))
        monkeypatch.setattr(paddle.distributed, "all_gather_object", self.all_gather_object)
        monkeypatch.setattr(paddle.base.core, "create_or_get_global_tcp_store", lambda: self)
        monkeypatch.setattr(ranks, "_heartbeat", self)

    def run(self, act: Callable[[int], object]) -> list:
        """What act(rank) returns or raises on each rank."""
        found = [None] * self.count
        self.counts.clear()

        def one(rank: int) -> None:
            self.here.rank, self.here.keys = rank, []
            try:
                found[rank] = act(rank)
            except Exception as error:
                found[rank] = error

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(self.count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    def exchange(self, value) -> list:
        """What each rank has brought."""
        self.brought[self.here.rank] = value
        self.meeting.wait()
        found = list(self.brought)
        self.meeting.wait()
        return found

    def is_initialized(self) -> bool:
        return hasattr(self.here, "rank")

    def get_world_size(self) -> int:
        return self.count

    def get_rank(self) -> int:
        return self.here.rank

    def all_gather(self, found: list, tensor: paddle.Tensor) -> None:
        found += [own.clone() for own in self.exchange(tensor)]

    def all_gather_object(self, found: list, value) -> None:
        found += self.exchange(value)

    def all_reduce(self, tensor: paddle.Tensor, op=None) -> None:
        reduce = {paddle.distributed.ReduceOp.MAX: paddle.max, None: paddle.sum}[op]
        paddle.assign(reduce(paddle.stack(self.exchange(tensor.clone())), axis=0), output=tensor)

    def add(self, key: str, number: int) -> int:
        """As Paddle's store does, the n-th name of one rank being the n-th of the other.

        They are numbered by a counter that each process has, and threads share.
        """
        keys = self.here.keys
        if key not in keys:
            keys.append(key)
        with self.counting:
            self.counts[keys.index(key)] += number
            return self.counts[keys.index(key)]

    def silent(self, seconds: float) -> list[int]:
        """Of the heartbeat: who is gone is missed at the fourth look."""
        self.asked.append(seconds)
        return self.gone if len(self.asked) > 3 else []

    def lost(self) -> list[int]:
        return self.gone
