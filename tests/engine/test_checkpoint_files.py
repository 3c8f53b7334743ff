"""Which checkpoints stay beside the latest, by files of a few bytes."""

import errno
import os
from pathlib import Path

import pytest

from ppcds.engine.checkpoint_files import BEST, LATEST, best_until, go_back, keep_epoch
from ppcds.files import NotWritten, write_whole


def end_epoch(folder, epoch, count, best=True):
    """What a run writes at the end of an epoch."""
    write_whole(folder / LATEST, b"state %d" % epoch)
    if best:
        write_whole(folder / BEST, b"best of %d" % epoch)
    keep_epoch(folder, epoch, count)


def kept(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if "_epoch" in path.name}


def names(*epochs):
    found = {f"checkpoint_epoch{n}.safetensors": f"state {n}" for n in epochs}
    return {**found, **{f"best_model_epoch{n}.pdparams": f"best of {n}" for n in epochs}}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_so_many_of_the_last_epochs_are_kept_past_the_tenth(tmp_path, count):
    for epoch in range(1, 12):
        end_epoch(tmp_path, epoch, count)
        assert kept(tmp_path) == names(*range(max(1, epoch + 1 - count), epoch + 1))
    for name, of_epoch in ((LATEST, "checkpoint_epoch11.safetensors"), (BEST, "best_model_epoch11.pdparams")):
        assert os.path.samefile(tmp_path / name, tmp_path / of_epoch)


def test_none_are_kept_and_none_removed_for_a_count_of_0(tmp_path):
    end_epoch(tmp_path, 1, 2)
    end_epoch(tmp_path, 2, 0)
    assert kept(tmp_path) == names(1)


def test_files_of_other_names_stay(tmp_path):
    others = [
        "checkpoint_epoch1.safetensors.bak",
        "my_checkpoint_epoch1.safetensors",
        "best_modelXepoch1.pdparams",
    ]
    others += ["checkpoint_epochX.safetensors", "best_model_epoch1.safetensors", "metrics.csv"]
    for name in others:
        (tmp_path / name).write_text("mine")
    for epoch in (1, 2, 3):
        end_epoch(tmp_path, epoch, 1)
    assert set(os.listdir(tmp_path)) == {*others, *names(3), LATEST, BEST}


def test_epochs_of_a_future_that_is_forgotten_are_removed(tmp_path):
    for epoch in (1, 2, 3, 4):
        end_epoch(tmp_path, epoch, 4)
    go_back(tmp_path / "checkpoint_epoch1.safetensors")
    assert (tmp_path / LATEST).read_text() == "state 1" and (tmp_path / BEST).read_text() == "best of 1"
    end_epoch(tmp_path, 2, 4)
    assert kept(tmp_path) == names(1, 2)


def test_a_checkpoint_without_a_best_model_is_kept_and_gone_back_to_alone(tmp_path):
    end_epoch(tmp_path, 1, 2, best=False)
    assert kept(tmp_path) == {"checkpoint_epoch1.safetensors": "state 1"}
    (tmp_path / BEST).write_text("of another")
    write_whole(tmp_path / LATEST, b"state 2")
    go_back(tmp_path / "checkpoint_epoch1.safetensors")
    assert (tmp_path / LATEST).read_text() == "state 1" and (tmp_path / BEST).read_text() == "of another"


def test_the_best_model_of_a_checkpoint_is_that_of_its_epoch(tmp_path):
    end_epoch(tmp_path, 12, 1)
    best = tmp_path / "best_model_epoch12.pdparams"
    assert best_until(tmp_path / "checkpoint_epoch12.safetensors") == best
    best.unlink()
    assert best_until(tmp_path / "checkpoint_epoch12.safetensors") is None
    best.mkdir()
    assert best_until(tmp_path / "checkpoint_epoch12.safetensors") is None  # no file
    assert best_until(tmp_path / LATEST) is None and best_until(tmp_path / "moved.safetensors") is None


def test_keeping_an_epoch_twice_is_as_once_and_puts_its_best_model_back(tmp_path):
    end_epoch(tmp_path, 3, 2)
    write_whole(tmp_path / BEST, b"of later")  # a kill in the middle of going back has left it
    keep_epoch(tmp_path, 3, 2)
    assert (tmp_path / BEST).read_text() == "best of 3" and (tmp_path / LATEST).read_text() == "state 3"
    assert kept(tmp_path) == names(3)


def test_an_epoch_that_was_trained_anew_replaces_what_was_kept_of_it(tmp_path):
    """Its bytes differ, though its length and the second of its writing may not."""
    end_epoch(tmp_path, 1, 2)
    write_whole(tmp_path / LATEST, b"STATE 1")
    write_whole(tmp_path / BEST, b"BEST OF 1")
    for name in (LATEST, "checkpoint_epoch1.safetensors"):
        os.utime(tmp_path / name, (1, 1))
    keep_epoch(tmp_path, 1, 2)
    assert kept(tmp_path) == {name: text.upper() for name, text in names(1).items()}
    assert (tmp_path / BEST).read_text() == "BEST OF 1"


def test_a_kept_file_that_cannot_be_removed_is_named(tmp_path, monkeypatch):
    end_epoch(tmp_path, 1, 1)
    unlink = Path.unlink

    def refuse(path, missing_ok=False):
        if path.name == "checkpoint_epoch1.safetensors":
            raise PermissionError(errno.EPERM, "Operation not permitted")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(
        NotWritten, match="cannot write .*checkpoint_epoch1.safetensors: Operation not permitted"
    ):
        end_epoch(tmp_path, 2, 1)
