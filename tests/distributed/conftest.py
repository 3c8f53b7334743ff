from __future__ import annotations

import shutil

import pytest
from launched_ranks import run, train
from threaded_ranks import ThreadedRanks


@pytest.fixture
def ranks_of(monkeypatch):
    """ranks_of(count): that many ranks, threads of this process."""
    return lambda count: ThreadedRanks(monkeypatch, count)


@pytest.fixture(scope="session")
def root(trained_run):
    """A folder of forty training and nineteen validation images, which no two ranks have equal parts of."""
    folder = shutil.copytree(trained_run.parent / "Sports10", trained_run.parent / "nineteen")
    table = folder / "val_split.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    return folder


@pytest.fixture(scope="session")
def whole_run(root, tmp_path_factory):
    """The folder of a finished run of two ranks."""
    folder = tmp_path_factory.mktemp("ranks") / "whole"
    done = run(train(root, folder))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder
