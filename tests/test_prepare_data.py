"""tools/prepare_data.py from an archive or a folder to a checked data set."""

import json
import os
import runpy
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from ppcds.datasets import Sports10
from ppcds.datasets.cache import packed_images
from ppcds.errors import UserError

TOOL = Path(__file__).parents[1] / "tools" / "prepare_data.py"


@pytest.fixture
def prepare_data(monkeypatch, tmp_path):
    """The tool's main, run in tmp_path with the given arguments; returns its status."""
    main = runpy.run_path(str(TOOL))["main"]
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["prepare_data.py", *map(str, arguments)])
        return main()

    return run


def zip_folder(folder, path, top):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{top}{file.relative_to(folder).as_posix()}")
    return path


def heed_interrupts():
    """In a child: nohup and a shell's & let it inherit that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize(
    ("top", "arguments", "expected"),
    [
        ("Sports10/", [], "Sports10"),
        ("download/Sports10/", [], "Sports10"),
        ("", [], "Sports10"),
        ("", ["--name", "Mine"], "Mine"),
        ("photos/", ["--name", "Sports10"], "Sports10"),
        ("photos/", [], "photos"),
    ],
)
def test_wherever_the_csv_lies_in_the_archive_it_ends_beside_its_images(
    top, arguments, expected, tiny_sports10, prepare_data, tmp_path, capsys
):
    source = zip_folder(tiny_sports10, tmp_path / "a.zip", top)
    assert prepare_data(source, "--root", "data/d", *arguments) == 0
    made = tree(tmp_path / "data" / "d" / expected)
    assert json.loads(made.pop("prepare_summary.json"))["images"] == 60
    assert made == tree(tiny_sports10)
    assert [path.name for path in (tmp_path / "data" / "d").iterdir()] == [expected]
    assert "60 images, none broken or missing" in capsys.readouterr().out


def test_a_folder_is_copied_and_one_in_place_is_only_checked(tiny_sports10, prepare_data, tmp_path):
    before = tree(tiny_sports10)
    assert prepare_data(tiny_sports10, "--root", "data/d") == 0
    made = tree(tmp_path / "data/d/Sports10")
    made.pop("prepare_summary.json")
    assert made == before == tree(tiny_sports10)

    (tmp_path / "data/d/Sports10/Tennis/train_0.jpg").write_bytes(b"")
    assert prepare_data("data/d", "--root", "data/d") == 1  # found below the folder, and not copied again
    assert prepare_data(tiny_sports10, "--root", "data/d") == 0  # mended


def test_pack_resizes_the_images_of_both_splits_of_a_folder_in_place(tiny_sports10, prepare_data, capsys):
    arguments = [tiny_sports10, "--root", tiny_sports10.parent, "--pack", "12x20", "--interpolation", "area"]
    before = tree(tiny_sports10)
    assert prepare_data(*arguments) == 0
    said = capsys.readouterr().out
    for split, count in (("train", 40), ("val", 20)):
        folder = tiny_sports10 / f"packed/{split}_12x20_area_exact"
        assert f"{folder}: {count} images, 0.00 GB" in said
        packed = packed_images(Sports10(tiny_sports10, split, size=(12, 20), interpolation="area"), "use")
        assert packed.pixels.shape == (count, 12, 20, 3)
    made = tree(tiny_sports10)
    assert {name: made[name] for name in before} == before
    assert prepare_data(*arguments) == 0  # there is nothing left to do
    assert "made anew" not in capsys.readouterr().out
    assert {**tree(tiny_sports10), "prepare_summary.json": b""} == {**made, "prepare_summary.json": b""}


def test_an_archive_is_unpacked_and_packed_in_one_command(tiny_sports10, prepare_data, tmp_path):
    zip_folder(tiny_sports10, tmp_path / "a.zip", "Sports10/")
    assert prepare_data("a.zip", "--pack", "12x20", "--decode", "fast") == 0
    assert (tmp_path / "data/d/Sports10/packed/val_12x20_bilinear_fast/packed.json").is_file()


def test_what_is_not_sound_is_not_packed_and_it_is_said(tiny_sports10, prepare_data, tmp_path, capsys):
    (tiny_sports10 / "Tennis/train_1.jpg").write_bytes(b"")
    assert prepare_data(tiny_sports10, "--root", tmp_path, "--pack", "12x20") == 1
    assert "1 broken or missing, nothing is packed (" in capsys.readouterr().out
    assert not (tiny_sports10 / "packed").exists()


@pytest.mark.parametrize("text", ["72", "72*128", "72x", "0x128", "-1x4", "72x128x3", "72 x 128"])
def test_a_size_that_is_none_is_refused_before_anything_is_done(text, tiny_sports10, prepare_data, tmp_path):
    with pytest.raises(UserError, match="write HEIGHTxWIDTH in pixels, for instance --pack 72x128"):
        prepare_data(tiny_sports10, "--root", "data/d", f"--pack={text}")
    assert not (tmp_path / "data").exists()


def test_a_tar_is_unpacked_too(tiny_sports10, prepare_data, tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tiny_sports10, "./Sports10")
    assert prepare_data("a.tar.gz", "--root", "data/d") == 0


def test_a_mistake_is_one_line_and_status_1():
    done = subprocess.run([sys.executable, TOOL, "nowhere.zip"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: there is no archive or folder nowhere.zip\n"


def test_a_refused_archive_is_one_line_too(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no archive")
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}  # of which Paddle warns when it is loaded
    done = subprocess.run(
        [sys.executable, TOOL, "a.zip"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: a.zip ") and done.stderr.count("\n") == 1


def test_help_and_mistakes_do_not_load_paddle():
    code = (
        "import sys, runpy; sys.argv[:] = ['prepare_data.py', sys.argv[2]]\n"
        f"try: runpy.run_path({str(TOOL)!r}, run_name='__main__')\n"
        "except SystemExit: print('loaded:', 'paddle' in sys.modules)"
    )
    for argument in ("--help", "nowhere.zip"):
        done = subprocess.run([sys.executable, "-c", code, "", argument], capture_output=True, text=True)
        assert "loaded: False" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_stopped_is_continued(how, tmp_path, prepare_data):
    picture = cv2.imencode(".jpg", np.full((40, 40, 3), 90, np.uint8))[1].tobytes()
    names = [f"Tennis/{i}.jpg" for i in range(4000)]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(
            "train_split.csv", "filename,class\n" + "".join(f"{name},Tennis\n" for name in names)
        )
        archive.writestr("val_split.csv", "filename,class\nTennis/0.jpg,Tennis\n")
        for name in names:
            archive.writestr(name, picture)
    run = subprocess.Popen(
        [sys.executable, TOOL, "a.zip"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    folder = tmp_path / "data/d/Sports10"
    deadline = time.monotonic() + 60
    while len(list(folder.glob("*/*.jpg"))) < 50 and time.monotonic() < deadline:
        time.sleep(0.005)
    run.send_signal(how)
    errors = run.communicate()[1]
    written = list(folder.glob("*/*.jpg"))
    assert all(path.read_bytes() == picture for path in written)
    assert not (folder / "prepare_summary.json").exists()
    if how == signal.SIGINT:
        assert run.returncode == 130
        assert errors.endswith("The same command goes on from here.\n")
    assert prepare_data("a.zip") == 0
    assert not list(folder.glob(".*"))
