"""JPEGs that were cut and ended, whatever lies behind them; and whole ones that look alike."""

import random
import re

import hostile_images
import numpy as np
import pytest
from PIL import Image

from ppcds.datasets.images import decode_image
from ppcds.jpeg_markers import MOST_SEGMENTS, read_markers

END = b"\xff\xd9"
LAST_BLOCKS = 48  # bytes that may be of the last 16x16 pixels, within which a cut cannot be told
KINDS = {"baseline": {}, "progressive": {"progressive": True}, "restart": {"restart_marker_blocks": 7}}


def jpeg(pixels=None, **options):
    pixels = hostile_images.photograph() if pixels is None else pixels
    return hostile_images.encoded(Image.fromarray(pixels), "JPEG", **{"quality": 90, **options})


def certain(whole):
    """Where the bytes end whose absence can be told."""
    last_scan = whole.rindex(b"\xff\xda")
    return last_scan if read_markers(whole).coarse_first else len(whole) - LAST_BLOCKS


def is_read(data):
    try:
        decode_image(data)
    except ValueError as error:
        assert "is a truncated" in str(error) or "damaged" in str(error), error
        return False
    return True


@pytest.fixture(params=KINDS)
def whole(request):
    return jpeg(**KINDS[request.param])


def test_a_jpeg_that_was_cut_anywhere_and_ended_is_refused(whole):
    draw = random.Random(0)
    assert is_read(whole)
    for cut in (draw.randrange(2, certain(whole)) for _ in range(500)):
        assert not is_read(whole[:cut] + END), cut


def test_a_jpeg_that_was_cut_within_an_escape_or_a_marker_is_refused(whole):
    scan = whole.index(b"\xff\xda")
    found = [scan + place.start() for place in re.finditer(rb"\xff[^\xff]", whole[scan : certain(whole) - 2])]
    assert len(found) > 5
    for place in found:
        for cut in (place, place + 1, place + 2):
            assert not is_read(whole[:cut] + END), cut


def test_a_jpeg_that_was_cut_is_refused_though_another_one_lies_behind_it(whole):
    trailer = b"behind" + jpeg(hostile_images.photograph()[:20, :20])
    assert is_read(whole + trailer) and is_read(whole + bytes(300)) and is_read(whole + b"text" + END)
    assert read_markers(whole + trailer) == read_markers(whole)
    assert not is_read(whole[: len(whole) // 2] + trailer)
    assert not is_read(whole[: len(whole) // 2] + END + trailer)


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture(whole):
    thumbnail = jpeg(hostile_images.photograph()[:30, :40])
    exif = b"\xff\xe1" + (len(thumbnail) + 8).to_bytes(2, "big") + b"Exif\0\0" + thumbnail
    with_thumbnail = whole[:2] + exif + whole[2:]
    markers = read_markers(with_thumbnail)
    assert markers.end == len(with_thumbnail) - 2 and markers.size == (180, 320) and markers.has_exif
    assert is_read(with_thumbnail) and not is_read(with_thumbnail[: len(with_thumbnail) // 2] + END)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_corner_that_is_grey_is_read_and_nothing_is_said_of_it(kind, mode, capfd):
    pixels = hostile_images.photograph()
    pixels[-32:, -32:] = 65 if mode == "CMYK" else 128
    image = Image.fromarray(pixels).convert(mode)
    data = hostile_images.encoded(image, "JPEG", quality=95, **KINDS[kind])
    assert is_read(data)
    assert capfd.readouterr().err == ""
    assert not is_read(data[: len(data) // 2] + END)


def test_a_progressive_jpeg_without_its_last_scans_is_refused():
    whole = jpeg(progressive=True)
    scans = [place.start() for place in re.finditer(rb"\xff\xda", whole)]
    assert read_markers(whole).scans == len(scans) == 10
    for start in scans[1:]:
        tables = whole.rindex(b"\xff\xc4", 0, start)
        with pytest.raises(ValueError, match="truncated JPEG: scans are missing"):
            read_markers(whole[:tables] + END)


def test_a_jpeg_of_many_empty_parts_is_refused_at_once():
    data = jpeg()
    with pytest.raises(ValueError, match="more than 20000 parts"):
        read_markers(data[:2] + b"\xff\xe5\0\2" * (MOST_SEGMENTS + 1) + data[2:])


def test_what_lies_between_markers_does_not_change_the_picture():
    data = jpeg()
    padded = data[:2] + b"\xff\xff\xff" + data[2:]
    np.testing.assert_array_equal(decode_image(padded)[0], decode_image(data)[0])
