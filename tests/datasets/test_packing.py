"""How packed images are made: interrupted at any instant, of broken images, in processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ppcds.datasets import Sports10, packing, packing_process
from ppcds.datasets.cache import make_packed, packed_images
from ppcds.datasets.images import read_image, resize
from ppcds.datasets.packed import folder_of, unsealed
from ppcds.datasets.packing import PROGRESS, unfinished_folder
from ppcds.datasets.packing_process import PackingProcess
from ppcds.errors import UserError

ROW = 24 * 32 * 3  # bytes


@pytest.fixture
def whole(tiny_sports10, monkeypatch):
    monkeypatch.setattr(packing, "CHUNK", 3 * ROW)  # 14 chunks
    return Sports10(tiny_sports10, size=(24, 32))


@pytest.fixture
def packed_rows(monkeypatch):
    """The first row of every chunk that is packed."""
    rows, pack = [], PackingProcess.pack
    monkeypatch.setattr(
        PackingProcess, "pack", lambda self, start, names: rows.append(start) or pack(self, start, names)
    )
    return rows


def assert_whole(packed, split):
    files = [split.root / filename for filename in split.filenames]
    expected = np.stack([resize(read_image(file), split.size, split.interpolation) for file in files])
    np.testing.assert_array_equal(packed.pixels, expected)


class Stopped(BaseException):
    pass


def stop(*_, **__):
    raise Stopped


def stop_after(chunks, monkeypatch):
    real = packing._pack_chunks

    def some(*arguments):
        for count, result in enumerate(real(*arguments)):
            if count == chunks:
                raise Stopped
            yield result

    monkeypatch.setattr(packing, "_pack_chunks", some)


def test_every_chunk_is_packed_once(whole, packed_rows):
    assert_whole(make_packed(whole), whole)
    assert sorted(packed_rows) == list(range(0, 40, 3))
    assert sorted(os.listdir(folder_of(whole))) == [
        "bad.json", "images.npy", "labels.npy", "packed.json", "sizes.npy", "sources.json"
    ]  # fmt: skip
    assert not unfinished_folder(folder_of(whole)).exists()


def test_what_was_packed_before_a_stop_is_not_packed_again(whole, packed_rows, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_after(6, patch)
        make_packed(whole)
    assert not folder_of(whole).exists()
    with open(unfinished_folder(folder_of(whole)) / PROGRESS, "a") as progress:
        progress.write('[1234, "{cut o')
    packed_rows.clear()
    assert_whole(packed_images(whole, "use"), whole)  # use finishes what was begun
    assert len(packed_rows) == 14 - 6


def test_a_noted_chunk_whose_pixels_never_reached_the_disk_is_packed_again(whole, packed_rows, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_after(6, patch)
        make_packed(whole)
    with open(unfinished_folder(folder_of(whole)) / PROGRESS) as progress:
        noted = [unsealed(line).get("chunk") for line in progress][1:]
    with open(unfinished_folder(folder_of(whole)) / "images.npy", "rb+") as images:
        images.seek((3 * noted[2] - 40) * ROW, os.SEEK_END)
        images.write(bytes(ROW))
    packed_rows.clear()
    assert_whole(make_packed(whole), whole)
    assert len(packed_rows) == 14 - 6 + 1 and 3 * noted[2] in packed_rows


@pytest.mark.parametrize("name", ["ppcds.datasets.packing.np.save", "ppcds.datasets.packing.os.replace"])
def test_a_stop_at_the_end_leaves_nothing_finished_and_nothing_to_pack(name, whole, packed_rows, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(name, stop if name.endswith("save") else stop_at_folder)
        make_packed(whole)
    assert not folder_of(whole).exists()
    packed_rows.clear()
    assert_whole(make_packed(whole), whole)
    assert not packed_rows


real_replace = os.replace


def stop_at_folder(source, target):
    if os.path.isdir(source):
        raise Stopped
    real_replace(source, target)


@pytest.mark.parametrize("lost", ["images.npy", PROGRESS])
def test_an_unfinished_folder_without_a_file_is_begun_again(lost, whole, packed_rows, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_after(6, patch)
        make_packed(whole)
    (unfinished_folder(folder_of(whole)) / lost).unlink()
    packed_rows.clear()
    assert_whole(make_packed(whole), whole)
    assert len(packed_rows) == 14


def test_an_unfinished_folder_of_other_images_is_begun_again(whole, tiny_sports10, packed_rows, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_after(6, patch)
        make_packed(whole)
    os.utime(tiny_sports10 / "Tennis/train_0.jpg", ns=(1, 1))
    packed_rows.clear()
    assert_whole(make_packed(whole), whole)
    assert len(packed_rows) == 14


def test_a_broken_image_is_named_and_packing_goes_on_when_it_is_mended(whole, tiny_sports10, packed_rows):
    broken = tiny_sports10 / "Tennis/train_1.jpg"
    sound = broken.read_bytes()
    broken.write_bytes(sound[:-300])
    with pytest.raises(UserError, match="Tennis/train_1.jpg is a truncated JPEG"):
        packed_images(whole, "build")
    assert not folder_of(whole).exists()
    broken.write_bytes(sound)
    assert_whole(make_packed(whole), whole)


@pytest.mark.parametrize("fault", ["missing", "loop of links"])
def test_an_image_that_the_system_does_not_give_ends_packing_and_is_not_noted_as_bad(
    fault, whole, tiny_sports10, monkeypatch
):
    image, broken = tiny_sports10 / "Tennis/train_1.jpg", tiny_sports10 / "Tennis/train_2.jpg"
    broken.write_bytes(b"text")
    whole.on_bad_image = "leave out"
    away = image.with_name("away")

    def take_away(*arguments):
        image.rename(away)
        if fault != "missing":
            image.symlink_to(image)

    with (
        monkeypatch.context() as patch,
        pytest.raises(UserError, match=r"cannot read .*Tennis/train_1\.jpg: "),
    ):
        start = PackingProcess.__init__
        patch.setattr(packing, "available_cores", lambda: 1)
        patch.setattr(PackingProcess, "__init__", lambda *a: start(*a) or take_away())
        make_packed(whole)
    away.replace(image)
    packed = make_packed(whole)
    assert list(packed.bad) == [whole.filenames.index("Tennis/train_2.jpg")]
    row = whole.filenames.index("Tennis/train_1.jpg")
    np.testing.assert_array_equal(packed.read(row), resize(read_image(image), whole.size))


def test_images_that_change_while_they_are_packed_are_not_trusted(whole, tiny_sports10, monkeypatch):
    real = packing._pack_chunks

    def change(*arguments):
        yield from real(*arguments)
        os.utime(tiny_sports10 / "Tennis/train_0.jpg", ns=(1, 1))

    monkeypatch.setattr(packing, "_pack_chunks", change)
    with pytest.raises(UserError, match="have changed while they were packed"):
        make_packed(whole)
    assert not folder_of(whole).exists()


def test_a_process_that_ends_is_told(whole, monkeypatch):
    send = PackingProcess._send
    monkeypatch.setattr(PackingProcess, "_send", lambda self, message: send(self, {**message, "size": "x"}))
    with pytest.raises(UserError, match=r"ended with status 1 at one of the \d from \w+/train_\d.jpg on"):
        make_packed(whole)


def test_a_packing_process_does_not_load_paddle():
    code = (
        "import runpy, sys\n"
        f"path = {packing_process.__file__!r}\n"
        "runpy.run_path(path); runpy.run_path(path.replace('packing_process', 'images'))\n"
        "print('loaded:', 'paddle' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "loaded: False\n", done.stderr


KILLED_AFTER_FOUR = """
import os, signal, sys
from ppcds.datasets import Sports10, packing
from ppcds.datasets.cache import make_packed

packing.CHUNK = int(sys.argv[2])
begin, read = packing.PackingProcess.__init__, packing.PackingProcess.pack
def begin_and_tell(self, settings):
    begin(self, settings)
    print(self.process.pid, flush=True)
def kill_at_eighteen(self, start, filenames):
    while start == 18:
        if open(sys.argv[3]).read().count("\\n") > 4:
            os.kill(os.getpid(), signal.SIGKILL)
    return read(self, start, filenames)
packing.PackingProcess.__init__, packing.PackingProcess.pack = begin_and_tell, kill_at_eighteen
make_packed(Sports10(sys.argv[1], size=(24, 32)))
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")
def test_after_a_kill_no_process_is_left_and_the_same_call_goes_on(whole, tiny_sports10, packed_rows):
    progress = unfinished_folder(folder_of(whole)) / PROGRESS
    command = [sys.executable, "-c", KILLED_AFTER_FOUR, str(tiny_sports10), str(3 * ROW), str(progress)]
    killed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert killed.returncode == -signal.SIGKILL
    processes = [Path("/proc") / line / "stat" for line in killed.stdout.split()]
    assert processes
    deadline = time.monotonic() + 20
    while any(is_alive(process) for process in processes):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not folder_of(whole).exists()
    assert_whole(make_packed(whole), whole)
    assert len(packed_rows) <= 14 - 4


def is_alive(stat):
    try:
        return stat.read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
