"""Waiting for other ranks, and saying which of them has gone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import paddle

from ppcds.distributed.ranks import heartbeat, num_ranks
from ppcds.heartbeat import lost

GONE = 30.0  # seconds without a beat after which a rank that is waited for has gone
_waits = 0


def wait_for_all() -> None:
    """Wait until every rank has come here, however long one takes: gloo gives up after 30 s.

    Raises UserError if one has ended.
    """
    global _waits
    if num_ranks() == 1:
        return
    key, _waits = f"ppcds/wait/{_waits}", _waits + 1
    arrived = _count(key, 1)
    while arrived < num_ranks():
        time.sleep(0.01)
        gone = heartbeat().silent(GONE)
        if gone:
            raise lost(gone)
        arrived = _count(key, 0)


def _count(key: str, add: int) -> int:
    """The sum of what all ranks have added."""
    try:
        return paddle.base.core.create_or_get_global_tcp_store().add(key, add)
    except ValueError as error:  # Paddle's: rank 0 has gone, and the store with it
        raise lost([0]) from error


@contextlib.contextmanager
def lost_ranks_in_words() -> Iterator[None]:
    """Say which of the other ranks have gone, if that is what has happened."""
    try:
        yield
    except RuntimeError as error:
        if num_ranks() == 1 or not any(word in str(error).lower() for word in ("gloo", "nccl")):
            raise
        raise lost(heartbeat().lost()) from error
