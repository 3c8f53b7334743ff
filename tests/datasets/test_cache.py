"""When packed images are used, and when they are made again."""

import errno
import json
import os
import pickle
import threading

import numpy as np
import pytest

from ppcds.config import load_recipe
from ppcds.datasets import STL10, Sports10, cache
from ppcds.datasets.build import build_eval_split, build_held_back_split, build_train_split
from ppcds.datasets.cache import make_packed, packed_images
from ppcds.datasets.loader import load_batches
from ppcds.datasets.packed import folder_of
from ppcds.errors import UserError


@pytest.fixture
def whole(tiny_sports10):
    return Sports10(tiny_sports10, "train", views=[lambda image: image], size=(24, 32))


def pixels_of_files(split):
    split = split.take(np.arange(len(split)))
    split.packed = None
    return np.stack([split.load_image(i) for i in range(len(split))])


@pytest.mark.parametrize(
    ("size", "interpolation", "decode"),
    [((24, 32), "bilinear", "exact"), ((24, 32), "area", "fast"), ((60, 100), "area", "exact")],
)
def test_packed_images_equal_those_of_the_files(tiny_sports10, size, interpolation, decode):
    split = Sports10(tiny_sports10, size=size, interpolation=interpolation, decode=decode)
    expected = pixels_of_files(split)
    split.packed = packed_images(split, "build")
    np.testing.assert_array_equal(split.load_images(list(range(40))), expected)
    np.testing.assert_array_equal(split.load_images([3, 39, 3]), expected[[3, 39, 3]])
    image = split.load_image(17)
    np.testing.assert_array_equal(image, expected[17])
    image[:] = 0  # a copy: a view may write into it
    np.testing.assert_array_equal(split.load_image(17), expected[17])


def test_labels_sizes_and_names_lie_beside_the_images(whole, tiny_sports10):
    (tiny_sports10 / "train_split.csv").write_text(
        "filename,class\nTennis/train_1.jpg,Tennis\nHockey/train_0.jpg,\n"
    )
    whole = Sports10(tiny_sports10, size=(24, 32))
    folder = tiny_sports10 / "packed" / "train_24x32_bilinear_exact"
    assert packed_images(whole, "build").folder == os.path.abspath(folder)
    assert np.load(folder / "labels.npy").tolist() == [8, -1]
    assert np.load(folder / "sizes.npy").tolist() == [[60, 100]] * 2
    assert json.loads((folder / "sources.json").read_text()) == ["Tennis/train_1.jpg", "Hockey/train_0.jpg"]
    assert np.load(folder / "images.npy", mmap_mode="r").shape == (2, 24, 32, 3)


def test_use_takes_what_there_is_build_makes_it_and_ignore_never_looks(whole, tiny_sports10):
    before = sorted(os.listdir(tiny_sports10))
    assert packed_images(whole, "use") is None
    assert sorted(os.listdir(tiny_sports10)) == before
    assert len(packed_images(whole, "build")) == 40
    said = []
    assert len(packed_images(whole, "use", said.append)) == 40
    assert packed_images(whole, "ignore") is None and not said


def test_what_is_whole_is_not_made_again_even_where_the_folder_has_moved(packed_sports10, monkeypatch):
    monkeypatch.setattr(cache, "pack", lambda *_: pytest.fail("packed again"))
    split = Sports10(packed_sports10, size=(24, 32))
    np.testing.assert_array_equal(make_packed(split).pixels, pixels_of_files(split))


def replace_image(root):
    (root / "Tennis/0.jpg").write_bytes((root / "Hockey/1.jpg").read_bytes())


def touch_image(root):
    os.utime(root / "Tennis/0.jpg", ns=(1, 1))


def reverse_rows(root):
    header, *rows = (root / "train_split.csv").read_text().splitlines()
    (root / "train_split.csv").write_text("\n".join([header, *rows[::-1]]) + "\n")


def drop_row(root):
    lines = (root / "train_split.csv").read_text().splitlines(keepends=True)
    (root / "train_split.csv").write_text("".join(lines[:-1]))


def flip_byte(root):
    with open(root / "packed/train_24x32_bilinear_exact/images.npy", "rb+") as images:
        images.seek(5000)
        byte = images.read(1)[0]
        images.seek(5000)
        images.write(bytes([byte ^ 1]))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (replace_image, "image files have changed since"),
        (touch_image, "image files have changed since"),
        (reverse_rows, "the list of its images has changed since"),
        (drop_row, "the list of its images has changed since"),
        (flip_byte, "images.npy is damaged: a checksum does not agree"),
    ],
)
def test_what_is_stale_or_damaged_is_made_anew_and_it_is_said(change, reason, packed_sports10):
    change(packed_sports10)
    now = Sports10(packed_sports10, size=(24, 32))
    said = []
    np.testing.assert_array_equal(packed_images(now, "use", said.append).pixels, pixels_of_files(now))
    assert said == [f"{folder_of(now)} is made anew: {reason}"]
    packed_images(now, "use", said.append)
    assert len(said) == 1


@pytest.mark.parametrize("mode", ["use", "build"])
def test_a_folder_that_cannot_be_written_is_said_and_the_files_are_read(mode, packed_sports10, monkeypatch):
    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    touch_image(packed_sports10)
    stale = Sports10(packed_sports10, size=(24, 32))
    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    said = []
    assert packed_images(stale, mode, said.append) is None
    where = packed_sports10 / "packed"
    expected = f"the image files are read instead: {where}: Read-only file system"
    assert said == [f"no packed images of train, {expected}"]
    assert (folder_of(stale) / "images.npy").is_file()


def test_without_space_nothing_is_written_and_the_files_are_read(whole, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("ppcds.datasets.packing.shutil.disk_usage", lambda _: usage)
    said = []
    assert packed_images(whole, "build", said.append) is None
    assert "0.00 GB are needed and 0.00 GB are free" in said[0]
    assert os.listdir(folder_of(whole).parent) == [f".{folder_of(whole).name}.lock"]


@pytest.mark.skipif(os.name == "nt", reason="locks of POSIX")
def test_of_two_that_ask_at_once_one_packs_and_the_other_waits(whole, monkeypatch):
    waiting, packed, found = threading.Event(), [], []

    def pack(*arguments):
        packed.append(threading.current_thread().name)
        assert waiting.wait(30)
        return real_pack(*arguments)

    def say(text):
        assert "waiting for it" in text
        waiting.set()

    real_pack = cache.pack
    monkeypatch.setattr(cache, "pack", pack)
    askers = [threading.Thread(target=lambda: found.append(make_packed(whole, say))) for _ in range(2)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(60)
    assert len(packed) == 1 and [len(images) for images in found] == [40, 40]


def test_another_process_maps_the_same_file_and_is_sent_no_pixels(packed_sports10):
    packed = make_packed(Sports10(packed_sports10, size=(24, 32)))
    sent = pickle.dumps(packed)
    assert len(sent) < 1000 < packed.pixels.nbytes
    np.testing.assert_array_equal(pickle.loads(sent).pixels, packed.pixels)


def test_reading_processes_see_the_packed_images(packed_sports10):
    split = Sports10(packed_sports10, size=(24, 32), views=[lambda image: image])
    split.packed = make_packed(split)
    (views,), labels = next(load_batches(split, [[5, 10, 7, 17]], num_workers=1))
    np.testing.assert_array_equal(views.numpy(), pixels_of_files(split)[[5, 10, 7, 17]])
    assert labels.tolist() == [5, 8, 5, 8]


def test_a_part_reads_its_own_rows_and_keeps_its_labels(packed_sports10):
    split = Sports10(packed_sports10, size=(24, 32), views=[lambda image: image])
    expected = pixels_of_files(split)
    split.packed = make_packed(split)
    part = split.take([17, 2, 6]).take(np.array([2, 0]))
    np.testing.assert_array_equal(part.load_images([0, 1]), expected[[6, 17]])
    np.testing.assert_array_equal(part[1][0][0], expected[17])
    assert part.labels.tolist() == [5, 8]


@pytest.fixture
def recipe(tiny_sports10):
    def make(*overrides):
        data = ["data.layout=csv", f"data.root={tiny_sports10}", "data.size=[24, 32]"]
        return load_recipe("demo", [*data, *overrides])

    return make


def test_a_recipe_trains_and_evaluates_on_the_same_pixels_with_and_without(recipe, tiny_sports10):
    parts = ["data.train_images=30", "data.hold_back=0.34", "data.label_fraction=0.5"]
    found = {}
    for mode in ("ignore", "build"):
        asked = recipe(f"data.cache={mode}", *parts)
        splits = [build_train_split(asked, 2), build_held_back_split(asked), build_eval_split(asked)]
        assert all((split.packed is not None) == (mode == "build") for split in splits)
        found[mode] = [(np.stack(split.load_images(range(len(split)))), split.labels) for split in splits]
    for (images, labels), (packed, packed_labels) in zip(*found.values()):
        np.testing.assert_array_equal(images, packed)
        np.testing.assert_array_equal(labels, packed_labels)
    assert build_eval_split(recipe()).packed is not None  # use is the default
    assert build_eval_split(recipe("data.decode=fast")).packed is None


def test_a_layout_without_image_files_cannot_be_packed(tmp_path):
    (tmp_path / "train_X.bin").write_bytes(bytes(27648))
    (tmp_path / "train_y.bin").write_bytes(b"\1")
    stl10 = STL10(tmp_path)
    assert packed_images(stl10, "use") is None
    with pytest.raises(UserError, match="data.cache build: .* has its images in few files already"):
        packed_images(stl10, "build")
