"""Hearts of two ranks in one process: each hears the other, and misses one that stops."""

import socket
import time
from types import SimpleNamespace

import paddle
import pytest

from ppcds import heartbeat
from ppcds.errors import UserError
from ppcds.heartbeat import Heartbeat, lost


@pytest.fixture
def hearts(monkeypatch):
    """The hearts of ranks 0 and 1 and the store they beat in, ten times as fast as in a run."""
    monkeypatch.setattr(heartbeat, "EVERY", 0.02)
    monkeypatch.setattr(heartbeat, "SILENT", 0.4)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PADDLE_MASTER", f"127.0.0.1:{port}")
    store = paddle.base.core.TCPStore("127.0.0.1", port, True, 1)  # as after all have joined
    hearts = [Heartbeat(rank, 2) for rank in (0, 1)]
    yield store, hearts
    for heart in hearts:
        heart._end()


def look(heart, seconds, until):
    """Look at the others, as a rank does that waits, until there is an answer that differs from []."""
    found, ends = [], time.monotonic() + until
    while not found and time.monotonic() < ends:
        found = heart.silent(seconds)
        time.sleep(0.01)
    return found


def test_ranks_that_beat_are_not_missed(hearts):
    _, (first, second) = hearts
    assert (first.others, second.others) == ([1], [0])
    assert look(first, 0.4, until=1) == [] and look(second, 0.4, until=1) == []
    assert first.lost() == [] and second.lost() == []
    assert first.heard[1][0] > 5 and second.heard[0][0] > 5  # counts, of ten beats at least


def test_a_rank_that_has_stopped_is_missed_after_so_many_seconds_and_found_lost(hearts):
    _, (first, second) = hearts
    second._end()
    assert not second.thread.is_alive()
    began = time.monotonic()
    assert look(first, 0.4, until=5) == [1]
    assert 0.4 <= time.monotonic() - began < 2
    began = time.monotonic()
    assert first.lost() == [1]
    assert 0.4 <= time.monotonic() - began < 2  # anew: what was heard before does not count
    assert look(second, 0.4, until=1) == []  # rank 0 still beats


def test_looking_often_asks_the_store_rarely(hearts, monkeypatch):
    _, (first, second) = hearts
    second._end()  # a clock of the test's own tells when it would be missed
    clock = [1000.0]
    monkeypatch.setattr(heartbeat, "EVERY", 0.25)
    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    asked, count = [], first._count
    monkeypatch.setattr(first, "_count", lambda number, add: (asked.append(number), count(number, add))[1])
    for _ in range(32):
        assert first.silent(10.0) == []
        clock[0] += 0.0625
    assert asked.count(1) == 8


def test_a_store_that_cannot_be_reached_has_gone_with_rank_0(hearts, monkeypatch):
    _, (_, second) = hearts

    class Closed:
        def add(self, *given):
            raise RuntimeError("Broken pipe")

    second.store = Closed()
    assert second.silent(30.0) == [0] and second.lost() == [0]
    second.thread.join(timeout=2)
    assert not second.thread.is_alive()  # it does not beat against what is closed


@pytest.mark.parametrize(
    ("ranks", "named"),
    [([2], "rank 2 has ended, .*log/workerlog.2,"), ([1, 3], "rank 1 and 3 has ended, .*workerlog.1,")],
)
def test_lost_ranks_are_named_with_where_their_last_words_are(ranks, named):
    with pytest.raises(UserError, match=f"^{named}.*--resume goes on from the last checkpoint$"):
        raise lost(ranks)
    assert str(lost([])).startswith("another rank has ended, or cannot be reached")


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({"PADDLE_MASTER": "10.0.0.1:80"}, "10.0.0.1:80"),
        ({"PADDLE_MASTER": "10.0.0.1:80", "MASTER_ADDR": "10.0.0.2"}, "10.0.0.1:80"),
        ({"PADDLE_MASTER": "10.0.0.1:80", "MASTER_ADDR": "10.0.0.2", "MASTER_PORT": "81"}, "10.0.0.2:81"),
        ({"PADDLE_TRAINER_ENDPOINTS": "10.0.0.3:1,10.0.0.4:2"}, "10.0.0.3:1"),
    ],
)
def test_the_store_is_where_paddle_looks_for_it(monkeypatch, environment, address):
    for name in ("MASTER_ADDR", "MASTER_PORT", "PADDLE_MASTER", "PADDLE_TRAINER_ENDPOINTS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert heartbeat._address_of_store() == address
