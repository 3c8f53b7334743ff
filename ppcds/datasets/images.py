"""Reading and resizing of image files."""

from __future__ import annotations

import contextlib
import os

import cv2
import numpy as np

from ppcds.errors import UserError
from ppcds.image_files import ImageHeader, read_header, read_image_bytes

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
INTERPOLATIONS = {
    "bilinear": cv2.INTER_LINEAR,  # as Paddle's Resize: of a tenfold reduction it sees two pixels in ten
    "area": cv2.INTER_AREA,  # the mean of all pixels that fall into one
}
DECODINGS = ("exact", "fast")
REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
WITHOUT_DATA = (128, 65)  # the grey of blocks that a JPEG has no data for; the second one of CMYK
with contextlib.suppress(AttributeError):  # silent: what it says is said here, with the file's name
    (getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel)(0)


def read_image(path: str | os.PathLike, at_least: tuple[int, int] | None = None) -> np.ndarray:
    """Read an image file as RGB [H, W, 3] uint8; what is read and what refused: see ppcds.image_files.

    at_least: None decodes exactly, as the notebook does. (H', W'), the size the image will be resized to,
    lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, at the smallest that is no smaller than that. Each
    of its pixels is a mean then, where bilinear resizing of the whole image sees two pixels in ten. Mean
    absolute difference between the two after resizing, in levels of 255 (photographs of 192x129 at 36x64, and
    enlarged with added noise to 640x360 and 1280x720 at 72x128):
        fast against exact, both bilinear   5.9, 6.8, 7.0        both area             2.4, 2.7, 2.5
        fast bilinear against exact area    2.7, 2.5, 2.2        exact bilinear to it  5.8, 5.4, 5.9
    Raises UserError, with the file's name and the reason, if it is refused.
    """
    return read_image_and_size(path, at_least)[0]


def read_image_and_size(
    path: str | os.PathLike, at_least: tuple[int, int] | None = None
) -> tuple[np.ndarray, tuple[int, int]]:
    """As read_image, with the (H, W) that an exact decoding has."""
    try:
        return decode_image(read_image_bytes(path), at_least)
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{os.fspath(path)} {error}") from error


def decode_image(data: bytes, at_least: tuple[int, int] | None = None) -> tuple[np.ndarray, tuple[int, int]]:
    """As read_image_and_size, from the bytes of a file; ValueError with the reason, without a name."""
    header = read_header(data)
    factor = _reduction(header, at_least) if at_least else 1
    flag = REDUCED.get(factor, cv2.IMREAD_COLOR)
    image = _decode(data, flag)
    if header.kind == "JPEG":
        if _ends_early(image, data, header, flag):
            raise ValueError("is a truncated JPEG: it ends before its last rows")
    elif _loses_its_picture(image, data):
        raise ValueError(
            f"is a {header.kind} that is of one colour, or nearly, as 8-bit RGB: its picture is in its "
            "transparency or in its lower bits, save it as 8-bit RGB"
        )
    size = image.shape[:2]
    if factor > 1:  # an orientation in the file may have turned the image
        size = header.size if size == tuple(-(-side // factor) for side in header.size) else header.size[::-1]
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), size


def _decode(data: bytes, flag: int) -> np.ndarray:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        raise ValueError(f"cannot be decoded: {error.err}") from error
    if image is None:
        raise ValueError("is not an image, or a damaged one")
    return image


def _reduction(header: ImageHeader, at_least: tuple[int, int]) -> int:
    """The largest of 8, 4, 2, 1 by which the image may be divided and is still `at_least` (H, W)."""
    if not header.reducible:
        return 1
    height, width = (min(header.size),) * 2 if header.may_be_turned else header.size
    for factor in REDUCED:  # the decoder rounds up
        if -(-height // factor) >= at_least[0] and -(-width // factor) >= at_least[1]:
            return factor
    return 1


def _ends_early(image: np.ndarray, data: bytes, header: ImageHeader, flag: int) -> bool:
    """Whether a JPEG has an end marker before the data of its last block, which is grey then.

    Only where a corner has that very grey is the image decoded again, with bytes before the end marker: they
    change a block that has no data, and no other.
    """
    corners = image[[0, 0, -1, -1], [0, -1, 0, -1]]
    if not any((corners == grey).all(axis=1).any() for grey in WITHOUT_DATA):
        return False
    longer = data[: header.end] + bytes(range(1, 200)) + data[header.end :]
    return not np.array_equal(_decode(longer, flag), image)


def _loses_its_picture(image: np.ndarray, data: bytes) -> bool:
    """Whether nothing, or next to nothing, of a picture that the file has is left in 8-bit RGB."""
    darkest, lightest = int(image.min()), int(image.max())
    if lightest >= 16 and darkest < lightest:
        return False
    whole = _decode(data, cv2.IMREAD_UNCHANGED)
    whole = whole.reshape(len(whole), whole.shape[1], -1)
    varies = (whole.max(axis=(0, 1)) > whole.min(axis=(0, 1))).any()
    return bool(varies) and (whole.dtype != np.uint8 or darkest == lightest)


def resize(image: np.ndarray, size: tuple[int, int], interpolation: str = "bilinear") -> np.ndarray:
    """Resize [H, W, C] to `size` = (H', W'); interpolation is "bilinear" or "area"."""
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=INTERPOLATIONS[interpolation])
