"""The demo frames: their layout, that no two are equal, and that only whole data sets appear."""

import os
import runpy
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from ppcds.datasets import demo
from ppcds.errors import UserError

SETUP = Path(__file__).parents[2] / "setup.py"
TWO_GAMES = {"Bowling": "bowling", "Pong": "pong"}  # bowling repeats its frames most


@pytest.fixture
def two_games(monkeypatch):
    if find_spec("ale_py") is None:
        pytest.skip("the extra demo is not installed")
    monkeypatch.setattr(demo, "GAMES", TWO_GAMES)


def make_small(root):
    demo.make_demo(root, train_per_class=12, val_per_class=6, size=(90, 160))


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def files_under(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_no_two_frames_of_train_and_val_are_equal(two_games, tmp_path):
    make_small(tmp_path / "Demo")
    pixels = []
    for split, count in (("train", 24), ("val", 12)):
        rows = (tmp_path / "Demo" / f"{split}_split.csv").read_text().splitlines()
        assert rows[0] == "filename,class"
        assert len(rows) == 1 + count
        for row in rows[1:]:
            filename, name = row.split(",")
            assert filename.startswith(f"{name}/")
            image = cv2.imread(str(tmp_path / "Demo" / filename))
            assert image.shape == (90, 160, 3)
            assert np.unique(image.reshape(-1, 3), axis=0).shape[0] > 10  # a picture, not one colour
            pixels.append(image.tobytes())
    assert len(set(pixels)) == 36
    assert [path.name for path in tmp_path.iterdir()] == ["Demo"]


def test_the_same_call_makes_the_same_files_and_a_second_one_does_nothing(two_games, tmp_path):
    make_small(tmp_path / "a")
    make_small(tmp_path / "b")
    assert files_under(tmp_path / "a") == files_under(tmp_path / "b")
    written = (tmp_path / "a" / "train_split.csv").stat().st_mtime_ns
    make_small(tmp_path / "a")
    assert (tmp_path / "a" / "train_split.csv").stat().st_mtime_ns == written


def test_a_game_that_ends_its_process_is_named_and_nothing_is_left(two_games, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "GAMES", {"Pong": "pong", "Jousting": "no_such_rom"})
    with pytest.raises(UserError, match="game Jousting ended with status"):
        make_small(tmp_path / "Demo")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_leaves_nothing(two_games, tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_write_csv", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_small(tmp_path / "Demo")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_run_leaves_no_recorder_and_the_next_one_removes_its_folder(how, two_games, tmp_path):
    code = (
        "import sys; from ppcds.datasets import demo\n"
        f"demo.GAMES = {TWO_GAMES}\n"
        "demo.make_demo(sys.argv[1], train_per_class=10**6, size=(90, 160))"
    )
    run = subprocess.Popen([sys.executable, "-c", code, tmp_path / "Demo"], stderr=subprocess.DEVNULL)
    wait_for(lambda: any(tmp_path.glob("Demo.*.part/*/*.jpg")))
    run.send_signal(how)
    run.wait()
    time.sleep(0.5)
    left = files_under(tmp_path)
    assert left
    time.sleep(0.5)
    assert list(files_under(tmp_path)) == list(left)  # nobody goes on recording

    other = tmp_path / f"Demo.{os.getppid()}.part"  # of a process that runs
    other.mkdir()
    make_small(tmp_path / "Demo")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Demo", other.name]


def test_a_folder_left_under_the_number_of_this_process_is_no_obstacle(two_games, tmp_path):
    (tmp_path / f"Demo.{os.getpid()}.part" / "Pong").mkdir(parents=True)
    make_small(tmp_path / "Demo")
    assert [path.name for path in tmp_path.iterdir()] == ["Demo"]


def test_the_demo_frames_are_a_split_with_ten_classes(two_games, tmp_path):
    make_small(tmp_path / "Demo")
    split = demo.DemoFrames(tmp_path / "Demo", "val", views=[np.asarray], size=None)
    assert len(split.classes) == 10
    views, label = split[len(split) - 1]
    assert views[0].shape == (90, 160, 3)
    assert label == demo.DemoFrames.CLASSES.index("Pong")


def test_without_ale_py_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"ppcds\[demo\]"):
        demo.make_demo(tmp_path / "Demo")


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(UserError, match="neither empty nor a data set"):
        demo.make_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_the_extra_takes_no_ale_py_that_needs_what_it_does_not_require(monkeypatch):
    setuptools = pytest.importorskip("setuptools")
    requirements = pytest.importorskip("packaging.requirements")
    given = {}
    monkeypatch.setattr(setuptools, "setup", lambda **options: given.update(options))
    monkeypatch.chdir(SETUP.parent)
    runpy.run_path(str(SETUP))
    (ale_py,) = map(requirements.Requirement, given["extras_require"]["demo"])
    taken = list(ale_py.specifier.filter(["0.10.2", "0.11.0", "0.11.2", "0.12.1"]))
    assert taken == ["0.10.2", "0.12.1"]  # 0.11 imports gymnasium
    assert str(ale_py.specifier) in str(requirements.Requirement(demo.INSTALL.split('"')[-2]).specifier)
