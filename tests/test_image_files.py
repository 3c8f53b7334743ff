"""What is read of image files from outside, and what is refused: the same on every path."""

import csv
import json
import struct
import subprocess
import sys
import time

import cv2
import hostile_images
import numpy as np
import pytest
from PIL import Image

from ppcds.config import load_recipe
from ppcds.datasets import CSVSplit
from ppcds.datasets.cache import make_packed
from ppcds.datasets.images import read_image, read_image_and_size
from ppcds.datasets.verify import verify
from ppcds.engine.predict import predict_files
from ppcds.errors import UserError
from ppcds.image_files import read_image_bytes
from ppcds.image_headers import MAX_PIXELS, read_header

SIZE = (24, 32)
OTHERWISE = {name for name in hostile_images.read_files() if "grey" in name or "black" in name}
OTHERWISE |= {"turned.jpg", "pixel.jpg", "pixel.png", "one_bit.png", "palette.png", "dark.png"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """(a folder of images, the names of those that are read, {name: reason} of the others)."""
    folder = tmp_path_factory.mktemp("hostile")
    read, refused = hostile_images.write(folder)
    return folder, read, refused


@pytest.mark.parametrize("at_least", [None, SIZE])
def test_what_is_read_shows_the_picture(folder, at_least):
    root, names, _ = folder
    whole = np.asarray(hostile_images.picture()).astype(int)
    for name in names:
        image, size = read_image_and_size(root / name, at_least)
        assert image.dtype == np.uint8 and image.shape[2] == 3, name
        assert size == {"turned.jpg": (100, 60), "pixel.jpg": (1, 1), "pixel.png": (1, 1)}.get(
            name, (60, 100)
        )
        if name not in OTHERWISE:
            expected = cv2.resize(whole.astype(np.uint8), image.shape[1::-1], interpolation=cv2.INTER_AREA)
            assert np.abs(image - expected.astype(int)).mean() < 12, name


def test_the_first_of_several_frames_is_taken(folder):
    first, last = (hostile_images.picture().rotate(angle) for angle in (0, 180))
    found = read_image(folder[0] / "film.webp").astype(int)
    assert np.abs(found - np.asarray(first)).mean() < np.abs(found - np.asarray(last)).mean() / 4


@pytest.mark.parametrize("at_least", [None, SIZE])
def test_what_is_refused_is_named_with_the_reason(folder, at_least):
    root, _, refused = folder
    for name, words in refused.items():
        with pytest.raises(UserError) as caught:
            read_image(root / name, at_least)
        message = str(caught.value)
        assert str(root / name) in message and words in message and "\n" not in message, (name, message)


def test_a_folder_a_pipe_and_a_file_without_permission_are_refused_at_once(tmp_path):
    begun = time.monotonic()
    for name, words in hostile_images.write_no_files(tmp_path).items():
        with pytest.raises(UserError, match=f"cannot read .*{name}: .*{words}"):
            read_image(tmp_path / name)
    assert time.monotonic() - begun < 5


def test_every_path_reads_and_refuses_the_same(folder, tmp_path):
    """Training from files and packed, exactly and fast, prepare_data, predictions: one table for all."""
    root, names, refused = folder
    every = [*names, *refused]
    for split in ("train", "val"):
        with open(root / f"{split}_split.csv", "w", newline="") as file:
            csv.writer(file).writerows([("filename", "class"), *((name, "all") for name in every)])
    assert verify(root)["broken"].keys() == refused.keys()

    for decode in ("exact", "fast"):
        split = CSVSplit(root, "train", [lambda image: image], SIZE, decode=decode)
        split.on_bad_image = "leave out"
        packed = make_packed(split, lambda line: None)
        for row, name in enumerate(every):
            if name in refused:
                for read in (split.load_image, packed.read):
                    with pytest.raises(UserError, match=name):
                        read(row)
            else:
                np.testing.assert_array_equal(split.load_image(row), packed.read(row))

    recipe = load_recipe("demo", [f"data.size={list(SIZE)}"])
    skipped = []
    files = [str(root / name) for name in every]
    found = list(predict_files(lambda x: x[:, :, 0, 0], files, recipe, ["a", "b", "c"], 1, skipped.append))
    assert [entry.file for entry in found] == [str(root / name) for name in names]
    assert len(skipped) == len(refused)


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize("name", ["bomb.png", "bomb.jpg"])
def test_a_bomb_takes_no_memory_worth_the_name(folder, name):
    """30,000 x 30,000 pixels would be 2.7 GB."""
    code = (
        "import resource, runpy, sys\n"
        "import ppcds.image_files, cv2, numpy\n"
        "from ppcds.errors import UserError\n"
        "images = runpy.run_path(sys.argv[2])\n"
        "begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: images['read_image'](sys.argv[1], (8, 8))\n"
        "except UserError: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begun)"
    )
    images = read_image.__code__.co_filename
    done = subprocess.run([sys.executable, "-c", code, str(folder[0] / name), images], capture_output=True)
    assert int(done.stdout) < 20_000, done.stderr  # kilobytes


def test_an_image_of_as_many_pixels_as_are_allowed_has_a_header_that_is_read():
    side = int(MAX_PIXELS**0.5)
    jpeg = hostile_images.encoded(hostile_images.picture(), "JPEG") + bytes(200_000)
    assert read_header(hostile_images.with_size(jpeg, side, side)).size == (side, side)
    with pytest.raises(ValueError, match="make it smaller, at most 134 million pixels"):
        read_header(hostile_images.with_size(jpeg, side + 1, side + 1))


def test_a_file_that_is_longer_than_any_image_is_not_read(tmp_path):
    with open(tmp_path / "a.jpg", "wb") as file:
        file.truncate((1 << 30) + 1)  # a hole: it takes no space
    with pytest.raises(UserError, match=r"a\.jpg has 1\.1 GB: images of up to 1 GB are read"):
        read_image_bytes(tmp_path / "a.jpg")


def test_a_grey_corner_alone_is_no_sign_of_a_truncated_jpeg(tmp_path):
    pixels = np.asarray(hostile_images.picture()).copy()
    pixels[-32:, -32:] = 128
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)
    assert (read_image(tmp_path / "a.jpg")[-1, -1] == 128).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP", "TIFF"])
def test_a_header_tells_the_size_that_the_decoder_gives(kind, tmp_path):
    for width, height in ((1, 1), (100, 60), (333, 7)):
        data = hostile_images.encoded(hostile_images.picture().resize((width, height)), kind)
        assert read_header(data).size == (height, width)
    for options in ({"lossless": True}, {"exif": Image.Exif()}, {"icc_profile": b"x" * 128}):
        assert read_header(hostile_images.encoded(hostile_images.picture(), "WEBP", **options)).size == (
            60,
            100,
        )


def test_a_tiff_is_understood_in_both_byte_orders():
    def tiff(order, mark):
        entries = [(256, 3, 1, 640), (257, 4, 1, 480), (258, 3, 3, 100)]
        body = struct.pack(order + "IH", 8, len(entries))
        for tag, kind, count, value in entries:
            wide = kind == 4 or count > 2
            body += struct.pack(order + "HHI", tag, kind, count)
            body += struct.pack(order + ("I" if wide else "HH"), *([value] if wide else [value, 0]))
        return (mark + body).ljust(100, b"\0") + struct.pack(order + "HHH", 8, 8, 8)

    for order, mark in (("<", b"II*\x00"), (">", b"MM\x00*")):
        assert read_header(tiff(order, mark)).size == (480, 640)


def test_a_jpeg_header_tells_what_may_turn_it(folder):
    header = read_header((folder[0] / "turned.jpg").read_bytes())
    assert header.size == (60, 100) and header.jpeg.has_exif and header.jpeg.huffman
    assert not read_header((folder[0] / "jpeg.jpg").read_bytes()).jpeg.has_exif


def test_mutated_images_are_read_or_refused_and_nothing_else(folder):
    random = np.random.RandomState(0)
    whole = [content for content in hostile_images.read_files().values() if len(content) < 50_000]
    for _ in range(1500):
        data = bytearray(whole[random.randint(len(whole))])
        for _ in range(random.randint(1, 5)):
            data[random.randint(min(len(data), 400))] = random.randint(256)
        if random.rand() < 0.3:
            del data[random.randint(len(data)) :]
        try:
            header = read_header(bytes(data))
        except ValueError as error:
            assert "\n" not in str(error) and str(error).startswith("is ")
        else:
            assert 0 <= header.size[0] * header.size[1] <= MAX_PIXELS


def test_the_reasons_of_the_summary_name_the_file(folder, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"text")
    for split in ("train", "val"):
        (tmp_path / f"{split}_split.csv").write_text("filename,class\na.jpg,x\n")
    broken = verify(tmp_path)["broken"]
    assert broken == {"a.jpg": f"{tmp_path}/a.jpg is not an image: JPEG, PNG, BMP, WebP and TIFF are read"}
    assert json.loads((tmp_path / "prepare_summary.json").read_text())["broken"] == broken


def test_a_webp_whose_coded_pixels_end_in_zeros_is_read(tmp_path):
    path = tmp_path / "flat.webp"
    pixels = np.zeros((1000, 1000, 3), np.uint8)
    path.write_bytes(hostile_images.encoded(Image.fromarray(pixels), "WEBP"))
    assert path.read_bytes().endswith(bytes(64))
    assert (read_image_and_size(path)[0] == pixels).all()
