"""A disk that is full or may only be read: named with what is needed, and what was there is still there."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ppcds.config import load_recipe
from ppcds.engine.features import cached_features
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.files import NotWritten, link_whole, remove_leftovers, write_whole, written_whole
from ppcds.weights import load_weights, save_weights

TRAIN = Path(__file__).parents[2] / "tools" / "train.py"
REASONS = {errno.ENOSPC: "No space left on device", errno.EROFS: "Read-only file system"}
LIMITED = """
import resource, signal, sys
import numpy as np
from ppcds.errors import UserError
from ppcds.weights import load_weights, save_weights
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_weights({"a": np.zeros(100_000, "float32")}, sys.argv[1])
except UserError as error:
    print(error)
    print(load_weights(sys.argv[1])["a"].tolist())
"""


@pytest.fixture
def failing(monkeypatch):
    """failing(code, after): fsync, which stands for the disk, fails from its `after`-th call on."""

    def fail(code, after=0):
        calls, fsync = [], os.fsync

        def broken(descriptor):
            calls.append(1)
            if len(calls) > after:
                raise OSError(code, os.strerror(code))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", broken)

    return fail


@pytest.fixture(params=["1m"])
def small_disk(tmp_path, request):
    """A folder on a disk of a megabyte, or of what the test asks for."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
def test_a_disk_that_is_full_is_named_with_what_is_needed_and_free(small_disk, suffix):
    path = small_disk / f"a{suffix}"
    save_weights({"a": np.arange(3)}, path)
    with pytest.raises(UserError) as caught:
        save_weights({"a": np.zeros(2_000_000, "uint8")}, path)
    room = rf"\((.*) bytes are needed, (.*) bytes are free in {small_disk}\)"
    said = re.fullmatch(f"cannot write {path}: No space left on device {room}", str(caught.value))
    needed, free = (int(number.replace(",", "")) for number in said.groups())
    assert 2_000_000 < needed < 2_000_500 and 900_000 < free <= 2**20
    assert os.listdir(small_disk) == [path.name]
    assert load_weights(path)["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("small_disk", ["4m"], indirect=True)
def test_a_run_on_a_disk_that_fills_up_ends_in_words_and_goes_on_when_there_is_room(
    tiny_recipe, small_disk, tmp_path
):
    Trainer(tiny_recipe(f"run.output_dir={tmp_path / 'whole'}")).train()
    recipe = tiny_recipe(f"run.output_dir={small_disk / 'run'}")
    trainer = Trainer(recipe)
    end_epoch, ballast = trainer._end_epoch, small_disk / "ballast"

    def fill_then_end_epoch():
        if trainer.state.epoch == 1:
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:  # page by page, since VisualDL's thread writes meanwhile
                    file.write(bytes(4096))
        end_epoch()

    trainer._end_epoch = fill_then_end_epoch
    with pytest.raises(
        UserError, match=r"cannot write .*latest\.safetensors: No space .* bytes are needed, 0 bytes"
    ):
        trainer.train()
    run = small_disk / "run"
    assert not list(run.rglob("*.tmp"))
    ballast.unlink()
    Trainer(recipe, resume=True).train()
    for name in ("best_model.pdparams", "metrics.csv", "last_model.pdparams"):
        assert (run / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
def test_a_file_that_may_not_become_so_large_is_named(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    save_weights({"a": np.arange(3)}, path)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, timeout=100
    )
    said = done.stdout.splitlines()
    assert said[0].startswith(f"cannot write {path}: File too large (400,"), done.stderr
    assert said[1] == "[0, 1, 2]"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("code", list(REASONS))
def test_every_file_of_a_run_is_whole_or_absent_and_its_error_names_it(tmp_path, failing, code):
    save_weights({"a": np.arange(3)}, tmp_path / "a.safetensors")
    (tmp_path / "recipe.yaml").write_text("old")
    failing(code)
    recipe = load_recipe("demo")
    writers = {
        "a.safetensors": lambda path: save_weights({"a": np.zeros(9)}, path),
        "recipe.yaml": recipe.save,
        "new.csv": lambda path: write_whole(path, b"a,b"),
        "linked": lambda path: link_whole(tmp_path / "recipe.yaml", path),
    }
    for name, write in writers.items():
        with pytest.raises(NotWritten, match=f"^cannot write {tmp_path / name}: {REASONS[code]}") as caught:
            write(tmp_path / name)
        assert isinstance(caught.value, UserError) and isinstance(caught.value, OSError)
        assert caught.value.errno == code
        assert ("bytes are needed" in str(caught.value)) == (code == errno.ENOSPC)
    assert sorted(os.listdir(tmp_path)) == ["a.safetensors", "recipe.yaml"]
    assert (tmp_path / "recipe.yaml").read_text() == "old"
    assert load_weights(tmp_path / "a.safetensors")["a"].tolist() == [0, 1, 2]


def test_features_that_cannot_be_kept_cost_the_cache_alone(tmp_path, failing):
    failing(errno.ENOSPC)
    said = []
    features, _ = cached_features(
        tmp_path / "f.safetensors", "key", lambda: (np.ones((2, 3), "float32"), np.arange(2)), said.append
    )
    assert features.shape == (2, 3) and os.listdir(tmp_path) == []
    assert len(said) == 1 and f"cannot write {tmp_path / 'f.safetensors'}: No space left" in said[0]


@pytest.mark.parametrize(
    "code, writes", [(errno.EROFS, 0), *((errno.ENOSPC, n) for n in (2, 6, 8, 12, 16, 18))]
)
def test_a_run_whose_disk_fails_at_any_write_leaves_a_checkpoint_to_go_on_from(
    tiny_recipe, tmp_path, failing, monkeypatch, code, writes
):
    failing(code, after=writes)
    with pytest.raises(UserError, match=f"cannot write .*: {REASONS[code]}"):
        Trainer(tiny_recipe()).train()
    monkeypatch.undo()
    run = tmp_path / "run"
    assert not list(run.rglob("*.tmp"))
    begun = (run / "latest.safetensors").is_file()
    assert begun == (writes > 2)  # the first is recipe.yaml
    assert Trainer(tiny_recipe(), resume=begun).train()["epoch"] == 2


def test_packing_that_fills_the_disk_is_given_up_and_leaves_the_room_to_the_checkpoints(
    tiny_recipe, tiny_sports10, small_disk, monkeypatch, capsys
):
    root = shutil.copytree(tiny_sports10, small_disk / "d")
    free = shutil.disk_usage(small_disk).free
    monkeypatch.setattr("ppcds.datasets.packing._require_space", lambda *_: None)  # it would be enough then
    packed = ["data.layout=csv", "data.cache=build", "data.size=[160, 160]", f"data.root={root}"]
    Trainer(tiny_recipe(*packed))
    said = capsys.readouterr().out
    assert "no packed images of train, the image files are read instead: " in said and "No space left" in said
    assert not list((root / "packed").glob("*.part"))
    assert shutil.disk_usage(small_disk).free > free - 100_000


def test_train_py_ends_in_one_line_on_a_disk_that_can_only_be_read(tiny_recipe, small_disk):
    folder = small_disk / "run"
    Trainer(tiny_recipe("optim.epochs=1", f"run.output_dir={folder}")).train()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    train = [sys.executable, str(TRAIN), "--resume", str(folder), "-o", "optim.epochs=2"]
    done = subprocess.run(train, capture_output=True, text=True, timeout=200)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: cannot write {folder}/recipe.yaml: Read-only file system"
    assert "Traceback" not in done.stderr
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert subprocess.run(train, capture_output=True, text=True, timeout=200).returncode == 0


def test_a_file_is_written_beside_its_place_and_reaches_the_disk_before_its_name(tmp_path, monkeypatch):
    order, replace, fsync = [], os.replace, os.fsync

    def told_fsync(descriptor):
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def told_replace(*paths):
        order.append("name")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", told_fsync)
    monkeypatch.setattr(os, "replace", told_replace)
    write_whole(tmp_path / "deep" / "a", b"content")
    assert (tmp_path / "deep" / "a").read_bytes() == b"content"
    assert order == ["file", "name", "folder"]


def test_what_a_killed_process_left_is_no_danger_and_can_be_removed(tmp_path):
    write_whole(tmp_path / "kept", b"a checkpoint")
    left = tmp_path / f".latest.{os.getpid()}.tmp"
    os.link(tmp_path / "kept", left)  # killed while it made a link, and this process has got its number
    write_whole(tmp_path / "latest", b"another")
    link_whole(tmp_path / "latest", tmp_path / "kept too")
    assert (tmp_path / "kept").read_bytes() == b"a checkpoint"
    (tmp_path / ".latest.1.tmp").write_text("left")
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["kept", "kept too", "latest"]


def test_a_link_is_a_copy_where_a_file_has_one_name_only(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    write_whole(tmp_path / "a", b"content")
    link_whole(tmp_path / "a", tmp_path / "b")
    assert os.path.samefile(tmp_path / "a", tmp_path / "b")
    link_whole(tmp_path / "a", tmp_path / "b")  # of the same file again
    monkeypatch.setattr(os, "link", no_links)
    link_whole(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == b"content" and not os.path.samefile(
        tmp_path / "a", tmp_path / "c"
    )
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]


def test_other_errors_of_the_block_are_left_alone_and_nothing_stays(tmp_path):
    with pytest.raises(KeyError), written_whole(tmp_path / "a") as temporary:
        temporary.write_bytes(b"half")
        raise KeyError("a bug")
    assert os.listdir(tmp_path) == []
