"""Joining the group that a launcher has started."""

import os

import paddle
import pytest

from ppcds.distributed import join_ranks, launcher, num_ranks, rank, ranks
from ppcds.errors import UserError


@pytest.fixture
def group(monkeypatch):
    """What was called to make a group of PADDLE_TRAINERS_NUM=2 processes, with the backend then set."""
    called = []
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")
    monkeypatch.setenv("PADDLE_DISTRI_BACKEND", "as it was")
    initialise = lambda: called.append(os.environ["PADDLE_DISTRI_BACKEND"])  # noqa: E731
    monkeypatch.setattr(paddle.distributed, "init_parallel_env", initialise)
    monkeypatch.setattr(ranks, "Heartbeat", lambda *given: ("heart", *given))
    monkeypatch.setattr(ranks, "_heartbeat", None)
    return called


def test_processes_on_a_processor_join_by_gloo_and_show_that_they_live(group):
    join_ranks(None)
    assert group == ["gloo"] and ranks.heartbeat() == ("heart", 0, 1)


@pytest.mark.parametrize("device", [None, "gpu"])
def test_processes_on_gpus_keep_the_backend_for_gpus(group, monkeypatch, device):
    monkeypatch.setattr(paddle.device, "get_device", lambda: "gpu:1")
    join_ranks(device)
    assert group == ["as it was"]


def test_a_device_that_several_ranks_would_share_is_refused(group):
    with pytest.raises(UserError) as caught:
        join_ranks("gpu:0")
    assert str(caught.value) == (
        "--device gpu:0: 2 processes cannot share it: leave it out, and name the devices to the launcher "
        "(--gpus 0,1)"
    )
    assert group == []


@pytest.mark.parametrize("launched", [None, "1"])
def test_without_a_launcher_there_is_no_group(group, monkeypatch, launched):
    monkeypatch.delenv("PADDLE_TRAINERS_NUM")
    if launched:
        monkeypatch.setenv("PADDLE_TRAINERS_NUM", launched)
    join_ranks("gpu:0")
    assert group == [] and ranks.heartbeat() is None and (num_ranks(), rank()) == (1, 0)


def test_the_command_that_began_a_run_names_the_launcher_where_there_was_one(ranks_of):
    assert launcher() == "python"
    assert ranks_of(2).run(lambda number: launcher()) == ["python -m paddle.distributed.launch ..."] * 2
    assert ranks_of(2).run(lambda number: (rank(), num_ranks())) == [(0, 2), (1, 2)]
