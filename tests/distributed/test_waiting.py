"""Waiting for ranks that may be slow, and for ranks that will never come."""

import time

import paddle
import pytest

from ppcds.distributed import lost_ranks_in_words, wait_for_all, waiting
from ppcds.errors import UserError


def test_nobody_goes_on_before_the_last_has_come(ranks_of):
    passed = []

    def act(rank):
        time.sleep(0.2 if rank == 1 else 0)
        began = time.monotonic()
        wait_for_all()
        passed.append(time.monotonic() - began)

    ranks_of(2).run(act)
    assert len(passed) == 2 and max(passed) > 0.1


class Store:
    """One rank's view of Paddle's store, where others have counted."""

    def __init__(self, **counts):
        self.counts = {key.replace("_", "/"): count for key, count in counts.items()}

    def add(self, key, number):
        self.counts[key] = self.counts.get(key, 0) + number
        return self.counts[key]


def test_a_second_wait_is_not_ended_by_the_first(ranks_of, monkeypatch):
    """Each has a name of its own in the store."""
    group, store = ranks_of(1), Store(ppcds_wait_0=1, ppcds_wait_1=1)  # the other has come to both
    monkeypatch.setattr(paddle.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(paddle.base.core, "create_or_get_global_tcp_store", lambda: store)
    monkeypatch.setattr(waiting, "_waits", 0)
    assert group.run(lambda rank: (wait_for_all(), wait_for_all())) == [(None, None)]
    assert store.counts == {"ppcds/wait/0": 2, "ppcds/wait/1": 2}


def test_a_rank_that_never_comes_is_named(ranks_of, monkeypatch):
    group = ranks_of(1)
    group.gone = [1]
    monkeypatch.setattr(paddle.distributed, "get_world_size", lambda: 2)
    (error,) = group.run(lambda rank: wait_for_all())
    assert isinstance(error, UserError) and str(error).startswith("rank 1 has ended")
    assert group.asked == [waiting.GONE] * 4


def test_a_store_that_is_gone_has_gone_with_rank_0(ranks_of):
    group = ranks_of(2)

    def broken(key, number):
        raise ValueError("connection reset by peer")

    group.add = broken
    for error in group.run(lambda rank: wait_for_all()):
        assert isinstance(error, UserError) and str(error).startswith("rank 0 has ended")


@pytest.mark.parametrize("words", ["[Gloo] Connection closed by peer", "NCCL error: remote process exited"])
def test_a_collective_that_fails_names_the_rank_that_has_gone(ranks_of, words):
    group = ranks_of(2)
    group.gone = [1]

    def collective(rank):
        with lost_ranks_in_words():
            raise RuntimeError(words)

    for error in group.run(collective):
        assert isinstance(error, UserError) and "log/workerlog.1" in str(error)
        assert str(error.__cause__) == words


def test_a_collective_that_fails_though_all_answer_says_where_to_look(ranks_of):
    def collective(rank):
        with lost_ranks_in_words():
            raise RuntimeError("gloo timed out")

    for error in ranks_of(2).run(collective):
        assert isinstance(error, UserError) and str(error).startswith("another rank has ended")


def test_other_errors_stay_what_they_are(ranks_of):
    bug, alone = RuntimeError("shapes do not fit"), RuntimeError("gloo, without ranks")

    def collective(rank):
        with lost_ranks_in_words():
            raise bug

    assert ranks_of(2).run(collective) == [bug, bug]
    with pytest.raises(RuntimeError, match="without ranks"), lost_ranks_in_words():
        raise alone
    with lost_ranks_in_words():
        pass
    wait_for_all()  # one process waits for nobody
