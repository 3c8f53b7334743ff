"""Reading and resizing of image files."""

from __future__ import annotations

import os

import cv2
import numpy as np

from ppcds.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
INTERPOLATIONS = {
    "bilinear": cv2.INTER_LINEAR,  # as Paddle's Resize: of a tenfold reduction it sees two pixels in ten
    "area": cv2.INTER_AREA,  # the mean of all pixels that fall into one
}


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Read an image file as RGB [H, W, 3] uint8; grey becomes three channels, transparency is dropped.

    Raises UserError, with the file's name, if it is missing, empty, truncated or no image.
    """
    try:
        data = np.fromfile(path, np.uint8)  # cv2.imread cannot open non-ASCII names on Windows
    except OSError as error:
        raise UserError(f"cannot read {os.fspath(path)}: {error.strerror}") from error
    if data.size == 0:
        raise UserError(f"{os.fspath(path)} is empty (zero bytes)")
    if is_truncated_jpeg(data.tobytes()):
        raise UserError(f"{os.fspath(path)} is a truncated JPEG")
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise UserError(f"{os.fspath(path)} cannot be decoded: {error.err}") from error
    if image is None:
        raise UserError(f"{os.fspath(path)} is not an image, or a damaged one")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def is_truncated_jpeg(data: bytes) -> bool:
    """Whether `data` begins as a JPEG and has no end marker after the start of its picture.

    OpenCV before 5 decodes such a file without an error and leaves the missing part grey. The end marker
    FF D9 cannot occur within coded pixels, but does in an embedded thumbnail: so look behind the headers.
    """
    if data[:2] != b"\xff\xd8":
        return False
    position = 2
    while data[position : position + 1] == b"\xff":
        marker = data[position + 1 : position + 2]
        if marker == b"\xda":  # start of scan: coded pixels follow
            return data.rfind(b"\xff\xd9", position) < 0
        if marker == b"\xff":  # padding
            position += 1
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return True


def resize(image: np.ndarray, size: tuple[int, int], interpolation: str = "bilinear") -> np.ndarray:
    """Resize [H, W, C] to `size` = (H', W'); interpolation is "bilinear" or "area"."""
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=INTERPOLATIONS[interpolation])
