import errno
import os
from types import SimpleNamespace

import cv2
import numpy as np
import paddle.vision.transforms as paddle_transforms
import pytest
from PIL import Image

from ppcds.datasets.images import read_image, read_image_and_size, resize
from ppcds.errors import UserError
from ppcds.image_files import PassingFault


@pytest.fixture
def picture():
    coarse = np.random.RandomState(0).randint(0, 256, (20, 30, 3), dtype=np.uint8)
    return cv2.resize(coarse, (300, 200))


def test_colours_come_as_rgb(tmp_path):
    Image.new("RGB", (8, 6), (250, 10, 60)).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.uint8 and image.shape == (6, 8, 3)
    assert image[0, 0].tolist() == [250, 10, 60]


def test_names_outside_ascii_can_be_read(tmp_path):
    path = tmp_path / "网球 été.png"
    Image.new("RGB", (4, 4), (1, 2, 3)).save(path)
    assert read_image(str(path))[0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("mode", "color"), [("L", 77), ("RGBA", (77, 77, 77, 0)), ("P", 0), ("1", 1)])
def test_grey_palette_and_transparent_images_have_three_channels(tmp_path, mode, color):
    Image.new(mode, (4, 4), color).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.jpg is empty"),
        (b"filename,class\n", "a.jpg is not an image"),
        (b"\xff\xd8", "a.jpg is a truncated JPEG"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a.jpg is a truncated JPEG"),
    ],
)
def test_files_that_are_no_images_are_named(tmp_path, content, message):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_image(tmp_path / "a.jpg")


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*b\.jpg"):
        read_image(tmp_path / "b.jpg")
    with pytest.raises(UserError, match="cannot read"):
        read_image(tmp_path)


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.9, 0.9999])
def test_a_truncated_jpeg_is_never_an_image(tmp_path, picture, progressive, part):
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
    (tmp_path / "whole.jpg").write_bytes(data)
    assert read_image(tmp_path / "whole.jpg").shape == picture.shape
    (tmp_path / "cut.jpg").write_bytes(data[: int(len(data) * part)])
    with pytest.raises(UserError, match=r"cut\.jpg is a truncated JPEG"):
        read_image(tmp_path / "cut.jpg")


def test_the_end_of_an_embedded_thumbnail_is_not_the_end_of_the_picture(tmp_path, picture):
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    thumbnail = cv2.imencode(".jpg", picture[::10, ::10])[1].tobytes()
    assert thumbnail.endswith(b"\xff\xd9")
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    data = data[:2] + segment + data[2:]
    (tmp_path / "whole.jpg").write_bytes(data)
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) - 500])
    assert read_image(tmp_path / "whole.jpg").shape == picture.shape
    with pytest.raises(UserError, match="truncated"):
        read_image(tmp_path / "cut.jpg")


def test_bytes_after_the_end_marker_do_no_harm(tmp_path, picture):
    (tmp_path / "a.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes() + b"\x00" * 100)
    assert read_image(tmp_path / "a.jpg").shape == picture.shape


@pytest.mark.parametrize("size", [(72, 128), (36, 64), (400, 200)])
def test_bilinear_is_paddles_resize(picture, size):
    np.testing.assert_array_equal(resize(picture, size), paddle_transforms.Resize(size)(picture))


def test_area_is_the_mean_of_the_pixels_that_fall_into_one(picture):
    blocks = picture.reshape(20, 10, 30, 10, 3).mean((1, 3))
    assert abs(resize(picture, (20, 30), "area") - blocks).max() <= 0.51
    assert abs(resize(picture, (20, 30), "bilinear") - blocks).max() > 5


def test_an_image_of_the_right_size_is_left_alone(picture):
    assert resize(picture, (200, 300)) is picture


def jpeg(path, height, width, mode="RGB", orientation=None, **options):
    """A smooth picture of that size, as a camera writes it."""
    coarse = np.random.RandomState(0).randint(0, 256, (9, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    if orientation:
        options["exif"] = Image.Exif()
        options["exif"][0x112] = orientation
    picture.convert(mode).save(path, "JPEG", quality=95, **options)
    return path


@pytest.mark.parametrize(
    ("height", "width", "size", "expected"),
    [
        (360, 640, (72, 128), (90, 160)),
        (720, 1280, (72, 128), (90, 160)),
        (361, 641, (72, 128), (91, 161)),  # the decoder rounds up
        (575, 1023, (72, 128), (72, 128)),
        (569, 1017, (72, 128), (72, 128)),
        (568, 1017, (72, 128), (142, 255)),
        (360, 500, (72, 128), (180, 250)),
        (143, 255, (72, 128), (72, 128)),
        (142, 255, (72, 128), (142, 255)),
        (4000, 3000, (72, 128), (500, 375)),  # never below an eighth
        (72, 128, (72, 128), (72, 128)),
        (20, 30, (72, 128), (20, 30)),
    ],
)
def test_fast_decodes_the_smallest_part_of_a_jpeg_that_is_no_smaller(tmp_path, height, width, size, expected):
    path = jpeg(tmp_path / "a.jpg", height, width)
    image, whole = read_image_and_size(path, size)
    assert image.shape == (*expected, 3) and whole == (height, width)
    assert read_image(path).shape == (height, width, 3)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("orientation", [None, 1, 2, 3, 4, 5, 6, 7, 8])
def test_fast_shows_the_same_picture_as_exact(tmp_path, mode, orientation, progressive):
    path = jpeg(tmp_path / "a.jpg", 360, 640, mode, orientation, progressive=progressive)
    size = (72, 128) if orientation is None or orientation < 5 else (128, 72)
    exact, fast = read_image(path), read_image(path, size)
    assert exact.shape == ((360, 640, 3) if size == (72, 128) else (640, 360, 3))
    assert fast.shape[0] >= size[0] and fast.shape[1] >= size[1] and fast.size <= exact.size / 4
    assert read_image_and_size(path, size)[1] == exact.shape[:2]
    difference = np.abs(resize(exact, size, "area").astype(int) - resize(fast, size, "area"))
    assert difference.mean() < 1.5


def test_a_turned_jpeg_is_never_reduced_below_the_size(tmp_path):
    for orientation in (1, 6):
        path = jpeg(tmp_path / "a.jpg", 400, 800, orientation=orientation)
        assert min(read_image(path, (100, 200)).shape[:2]) == 200  # a quarter would do for one that lies


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".tiff"])
def test_what_is_no_jpeg_is_decoded_exactly(tmp_path, suffix):
    Image.open(jpeg(tmp_path / "a.jpg", 360, 640)).save(tmp_path / f"a{suffix}")
    path = tmp_path / f"a{suffix}"
    np.testing.assert_array_equal(read_image(path, (72, 128)), read_image(path))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1"])
def test_fast_drops_transparency_as_exact_does(tmp_path, mode):
    picture = Image.open(jpeg(tmp_path / "a.jpg", 360, 640)).convert("RGBA").convert(mode)
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", (9, 16)), read_image(tmp_path / "a.png"))


def test_a_truncated_jpeg_is_no_image_for_fast_either(tmp_path):
    path = jpeg(tmp_path / "a.jpg", 360, 640)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"a\.jpg is a truncated JPEG"):
        read_image(path, (72, 128))


@pytest.mark.parametrize("fault", [errno.EIO, errno.ESTALE, errno.EMFILE, errno.EACCES])
def test_what_the_system_does_not_give_is_told_from_what_is_no_image(fault, tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"text")
    with pytest.raises(UserError) as caught:
        read_image(tmp_path / "a.jpg")
    assert not isinstance(caught.value, PassingFault)

    def fail(*_):
        raise OSError(fault, os.strerror(fault))

    system = SimpleNamespace(**{name: getattr(os, name) for name in ("fspath", "open", "O_NONBLOCK")})
    monkeypatch.setattr("ppcds.image_files.os", system)
    system.fstat = fail
    with pytest.raises(PassingFault, match=rf"cannot read .*a\.jpg: {os.strerror(fault)}"):
        read_image(tmp_path / "a.jpg")


def test_an_image_that_memory_is_too_small_for_now_is_not_called_broken(tmp_path, picture, monkeypatch):
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    full = cv2.error("Failed to allocate 9 bytes")
    full.code, full.err = cv2.Error.StsNoMem, "Failed to allocate 9 bytes"

    def fail(*_):
        raise full

    monkeypatch.setattr(cv2, "imdecode", fail)
    with pytest.raises(
        PassingFault, match=r"a\.png cannot be decoded, no memory is left: Failed to allocate"
    ):
        read_image(tmp_path / "a.png")
