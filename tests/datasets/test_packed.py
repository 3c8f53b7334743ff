"""Which folders of packed images are taken for whole."""

import os

import numpy as np
import pytest

from ppcds.datasets import Sports10
from ppcds.datasets.packed import (
    NotUsable,
    crc_of,
    describe_packing,
    folder_of,
    open_packed,
    sealed,
    unsealed,
)


@pytest.fixture
def split(packed_sports10):
    return Sports10(packed_sports10, size=(24, 32))


def reason_not_to_open(folder, wanted):
    with pytest.raises(NotUsable) as caught:
        open_packed(folder, wanted)
    return str(caught.value)


def test_a_whole_folder_is_opened_for_reading_alone(split):
    packed = open_packed(folder_of(split), describe_packing(split))
    assert packed.pixels.shape == (18, 24, 32, 3)
    with pytest.raises(ValueError, match="read-only"):
        packed.pixels[0] = 0


@pytest.mark.parametrize(
    ("file", "position", "size", "reason"),
    [
        ("images.npy", 5000, None, "images.npy is damaged: a checksum does not agree"),
        ("images.npy", -1, None, "images.npy is damaged"),
        ("images.npy", 60, None, "images.npy is damaged"),  # within its header
        ("images.npy", None, 5000, "images.npy has 5000 bytes and not 41600"),
        ("images.npy", None, 0, "images.npy has 0 bytes and not 41600"),
        ("labels.npy", -1, None, "labels.npy is damaged"),
        ("sizes.npy", -1, None, "sizes.npy is damaged"),
        ("sources.json", None, -1, "sources.json has"),
        ("packed.json", 300, None, "packed.json is damaged"),
        ("packed.json", None, -10, "packed.json is damaged"),
        ("packed.json", None, 0, "packed.json is damaged"),
    ],
)
def test_a_changed_byte_or_a_missing_end_is_seen(file, position, size, reason, split):
    path = folder_of(split) / file
    data = bytearray(path.read_bytes())
    if position is not None:
        data[position] ^= 1
    path.write_bytes(data[:size])
    assert reason_not_to_open(folder_of(split), describe_packing(split)).startswith(reason)


def test_a_byte_that_changes_after_it_was_checked_is_seen_too(split):
    open_packed(folder_of(split), describe_packing(split))
    images = folder_of(split) / "images.npy"
    with open(images, "rb+") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    os.utime(images)
    assert "images.npy is damaged" in reason_not_to_open(folder_of(split), describe_packing(split))


@pytest.mark.parametrize("file", ["images.npy", "labels.npy", "sizes.npy", "sources.json", "packed.json"])
def test_a_missing_file_is_seen(file, split):
    (folder_of(split) / file).unlink()
    reason = "it is not finished" if file == "packed.json" else f"{file} has no bytes"
    assert reason in reason_not_to_open(folder_of(split), describe_packing(split))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"size": (32, 24)}, "its images have another size"),
        ({"interpolation": "area"}, "its images were resized otherwise"),
        ({"decode": "fast"}, "its images were decoded otherwise"),
    ],
)
def test_images_of_another_setting_are_not_taken_even_under_its_name(options, reason, split):
    other = Sports10(split.root, **{"size": (24, 32), **options})
    assert folder_of(other) != folder_of(split)
    os.rename(folder_of(split), folder_of(other))
    assert reason_not_to_open(folder_of(other), describe_packing(other)) == reason


def test_another_decoder_may_make_other_pixels(split, monkeypatch):
    monkeypatch.setattr("cv2.__version__", "3.0")
    assert "OpenCV" in reason_not_to_open(folder_of(split), describe_packing(split))


def test_another_array_with_right_checksums_is_not_taken(split):
    folder = folder_of(split)
    about = unsealed((folder / "packed.json").read_bytes())
    images = np.load(folder / "images.npy")
    for other in (images.reshape(18, 32, 24, 3), images.view(np.int8)):
        np.save(folder / "images.npy", other)
        length = (folder / "images.npy").stat().st_size
        about["blocks"]["images.npy"] = [[length, crc_of(folder / "images.npy", 0, length)]]
        (folder / "packed.json").write_text(sealed(about))
        assert "images.npy holds" in reason_not_to_open(folder, describe_packing(split))


@pytest.mark.parametrize("line", ["", "5", "[1]", '[1, "{}"]', '{"a": 1}', "[1, 2]", '[1, "{'])
def test_a_line_that_is_not_whole_is_refused(line):
    assert unsealed(sealed({"a": [1, 2]})) == {"a": [1, 2]}
    with pytest.raises(ValueError):
        unsealed(line)
