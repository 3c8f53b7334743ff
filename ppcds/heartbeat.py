"""Which of several ranks has gone: each shows that it lives, and whoever misses one can ask."""

from __future__ import annotations

import atexit
import os
import threading
import time

import paddle

from ppcds.errors import UserError

EVERY = 0.25  # seconds between two beats, and between two looks at those of others
SILENT = 2.0  # seconds without a beat that tell, of ranks of which one has gone, which one


class Heartbeat:
    """Counts up this rank's number in Paddle's store, by a thread of its own, until the process ends.

    The store is kept by rank 0: where it cannot be reached any more, rank 0 has gone. It is spoken to over a
    connection of our own, because Paddle's one is for one thread.
    """

    def __init__(self, rank: int, num_ranks: int) -> None:
        self.rank, self.others = rank, [number for number in range(num_ranks) if number != rank]
        host, port = _address_of_store().rsplit(":", 1)
        self.store = paddle.base.core.TCPStore(host, int(port), False, num_ranks)
        self.speaking = threading.Lock()
        self.store_lost = False
        self.heard: dict[int, tuple[int, float]] = {}  # of each other rank: its last count, and since when
        self.looked = 0.0
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)
        self.thread.start()
        atexit.register(self._end)

    def silent(self, seconds: float) -> list[int]:
        """Ranks from which nothing has come for so long, as far as the calls of this have looked."""
        now = time.monotonic()
        if now - self.looked >= EVERY:
            self.looked = now
            for number in self.others:
                count = self._count(number, 0)
                if count != self.heard.get(number, (None, 0))[0]:
                    self.heard[number] = count, now
        if self.store_lost:
            return [0]
        return [number for number in self.others if now - self.heard[number][1] > seconds]

    def lost(self) -> list[int]:
        """Ranks that have gone, found within a few seconds."""
        self.heard.clear()
        self.looked = 0.0
        until = time.monotonic() + 1.5 * SILENT
        while not (found := self.silent(SILENT)) and time.monotonic() < until:
            time.sleep(EVERY)
        return found

    def _beat(self) -> None:
        while not self.store_lost and not self.ending.wait(EVERY):
            self._count(self.rank, 1)

    def _end(self) -> None:
        """Before the interpreter ends: a thread that comes back from Paddle into none aborts the process."""
        self.ending.set()
        self.thread.join(timeout=5)

    def _count(self, number: int, add: int) -> int:
        with self.speaking:
            try:
                return self.store.add(f"ppcds/beat/{number}", add)
            except Exception:  # Paddle's, of whatever kind: the other end is closed
                self.store_lost = True
                return 0


def lost(ranks: list[int]) -> UserError:
    """What to raise when these ranks have gone; [] if some have, but not which."""
    if not ranks:
        return UserError(
            "another rank has ended, or cannot be reached: its message is at the end of the launcher's "
            "log/workerlog.N, N its number; --resume goes on from the last checkpoint"
        )
    named = " and ".join(map(str, ranks))
    return UserError(
        f"rank {named} has ended, or does not answer any more: its last words are in the launcher's "
        f"log/workerlog.{ranks[0]}, and none if it was killed, for want of memory for instance; --resume "
        "goes on from the last checkpoint"
    )


def _address_of_store() -> str:
    """Where Paddle's store is: in the environment, as paddle.distributed.init_parallel_env looks for it."""
    if "MASTER_ADDR" in os.environ and "MASTER_PORT" in os.environ:
        return f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    return os.environ.get("PADDLE_MASTER") or os.environ["PADDLE_TRAINER_ENDPOINTS"].split(",")[0]
