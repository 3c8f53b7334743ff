"""Reading and resizing of image files."""

from __future__ import annotations

import contextlib
import io
import os

import cv2
import numpy as np
from PIL import JpegImagePlugin

from ppcds.errors import UserError
from ppcds.image_files import PassingFault, read_image_bytes
from ppcds.image_headers import ImageHeader, read_header
from ppcds.jpeg_markers import with_more_data

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
    except MemoryError as error:
        raise PassingFault(f"{os.fspath(path)} {error}") from error


def decode_image(data: bytes, at_least: tuple[int, int] | None = None) -> tuple[np.ndarray, tuple[int, int]]:
    """As read_image_and_size, from the bytes of a file.

    Raises ValueError or MemoryError with the reason, to be put behind the file's name.
    """
    header = read_header(data)
    factor = _reduction(header, at_least) if at_least else 1
    flag = REDUCED.get(factor, cv2.IMREAD_COLOR)
    image = cv2.cvtColor(_decode(data, flag), cv2.COLOR_BGR2RGB)
    if header.jpeg:
        if _ends_early(image, data, header):
            raise ValueError("is a truncated JPEG: it ends before its last rows")
    elif _loses_its_picture(image, data):
        raise ValueError(
            f"is a {header.kind} that is of one colour, or nearly, as 8-bit RGB: its picture is in its "
            "transparency or in its lower bits, save it as 8-bit RGB"
        )
    size = image.shape[:2]
    if factor > 1:  # an orientation in the file may have turned the image
        size = header.size if size == tuple(-(-side // factor) for side in header.size) else header.size[::-1]
    return image, size


def _decode(data: bytes, flag: int) -> np.ndarray:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(f"cannot be decoded, no memory is left: {error.err}") from error
        raise ValueError(f"cannot be decoded: {error.err}") from error
    if image is None:
        raise ValueError("is not an image, or a damaged one")
    return image


def _reduction(header: ImageHeader, at_least: tuple[int, int]) -> int:
    """The largest of 8, 4, 2, 1 by which the image may be divided and is still `at_least` (H, W)."""
    if not (header.jpeg and header.jpeg.huffman and min(header.size)):
        return 1
    height, width = (min(header.size),) * 2 if header.jpeg.has_exif else header.size
    for factor in REDUCED:  # the decoder rounds up
        if -(-height // factor) >= at_least[0] and -(-width // factor) >= at_least[1]:
            return factor
    return 1


def _ends_early(image: np.ndarray, data: bytes, header: ImageHeader) -> bool:
    """Whether a JPEG has an end marker before the data of its last block.

    What has no data is grey: where it may be, the JPEG is decoded with more bytes before its end marker, and
    compared. Not a progressive one, which would take as long again, and has only lost the last bit of some
    coefficients: whole scans that are missing were told from its markers.
    """
    if header.jpeg.coarse_first or not header.jpeg.huffman:  # an arithmetic decoder reads on behind its data
        return False
    last_row, last_column = image.shape[0] - 1, image.shape[1] - 1
    if header.jpeg.scans == 1 and not (
        image.item(0, 0, 0) in WITHOUT_DATA
        or image.item(0, last_column, 0) in WITHOUT_DATA
        or image.item(last_row, 0, 0) in WITHOUT_DATA
        or image.item(last_row, last_column, 0) in WITHOUT_DATA
    ):
        return False
    longer = _by_pillow(with_more_data(data, header.jpeg))
    if np.array_equal(longer, image):  # as nearly always; not if turned, reduced or of one channel
        return False
    return not np.array_equal(longer, _by_pillow(data))


def _by_pillow(data: bytes) -> np.ndarray:
    """A JPEG by Pillow, which is silent: OpenCV says on standard error that there are bytes too many."""
    try:
        with JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as image:
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError):  # that OpenCV reads
        return cv2.cvtColor(_decode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


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
