"""Image files that come from outside: how they are opened, and what they say before they are decoded.

Every path reads them so: training, the packed images, `prepare_data`, evaluation, predictions.

| file                                        | what happens                                              |
|---------------------------------------------|-----------------------------------------------------------|
| JPEG, PNG, BMP, WebP, TIFF                  | read, whatever the name ends in                           |
| one channel, palette, CMYK                  | read, as three channels                                   |
| alpha                                       | read, transparency is dropped                             |
| 16 bits a channel                           | read, the upper 8                                         |
| an orientation in EXIF                      | the image is turned, as far as `cv2.imread` does          |
| several frames (TIFF, WebP)                 | the first                                                 |
| 1 pixel                                     | read                                                      |
| more than 134 million pixels, or 1 GB       | refused before it is decoded                              |
| over 16 million, more than 1000 a byte      | refused so, too                                           |
| zero bytes, text, BigTIFF, any other kind   | refused                                                   |
| GIF, animated PNG                           | refused: which frame is meant?                            |
| truncated, or a checksum in it is wrong     | refused, also where OpenCV would leave the rest grey      |
| 32 bits a channel                           | refused: what is white is not known                       |
| of one colour once in 8 bits without alpha, | refused: it would be black, or nearly                     |
| or 16 bits of which the upper 4 are empty   |                                                           |
| missing, a folder, a pipe, no permission    | refused                                                   |

What cannot be told: pixels changed or zeroed within a JPEG, BMP, TIFF or WebP that has its whole length; a
JPEG that was cut and has an end marker from elsewhere, behind an FF or in a trailer.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from dataclasses import dataclass

from ppcds.errors import UserError

MAX_BYTES = 1 << 30
MAX_PIXELS = 1 << 27  # a camera of 108 megapixels is below; decoded, 400 MB, and twice that meanwhile
ALWAYS_FINE = 1 << 24  # pixels that may come from any number of bytes
PIXELS_A_BYTE = 1000  # the most that others may: a blank page can, a picture does not
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG markers that tell a size
HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive: JPEGs that can be reduced
FILM = (b"acTL", b"fcTL", b"fdAT")  # chunks of a PNG
MOST_SCANS = 200  # of a JPEG; a progressive one has ten, and each takes as long as a whole image


@dataclass(frozen=True)
class ImageHeader:
    """What stands before the coded pixels."""

    kind: str
    size: tuple[int, int]  # height, width as coded
    may_be_turned: bool = False  # it has EXIF data, which may swap height and width
    reducible: bool = False  # it can be decoded at a part of its size
    end: int = 0  # of a JPEG: where its end marker is


def read_image_bytes(path: str | os.PathLike) -> bytes:
    """The content of an image file. Raises UserError with its name if it is none or cannot be read."""
    name = os.fspath(path)
    try:
        # cv2.imread cannot open non-ASCII names on Windows; and nobody may ever write into a pipe
        with open(
            path, "rb", opener=lambda p, flags: os.open(p, flags | getattr(os, "O_NONBLOCK", 0))
        ) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise UserError(f"cannot read {name}: it is a pipe or device, not a file")
            if found.st_size > MAX_BYTES:
                raise UserError(f"{name} has {found.st_size / 1e9:.1f} GB: images of up to 1 GB are read")
            data = file.read()
    except OSError as error:
        raise UserError(f"cannot read {name}: {error.strerror}") from error
    if not data:
        raise UserError(f"{name} is empty (zero bytes)")
    return data


def read_header(data: bytes) -> ImageHeader:
    """The header of an image that may be decoded; reads no coded pixels.

    Raises ValueError with what is wrong, to be put behind the file's name.
    """
    read = next((read for start, read in _READERS.items() if data.startswith(start)), None)
    if read is None:
        raise ValueError("is not an image: JPEG, PNG, BMP, WebP and TIFF are read")
    try:
        header = read(data)
    except struct.error:
        raise ValueError("is a truncated image: a header in it is not whole") from None
    height, width = header.size
    if height * width > MAX_PIXELS:
        raise ValueError(
            f"is a {header.kind} of {width}x{height} pixels, which would take {height * width * 3 / 1e9:.1f} "
            f"GB of memory: make it smaller, at most {MAX_PIXELS // 10**6} million pixels are read"
        )
    if height * width > max(ALWAYS_FINE, PIXELS_A_BYTE * len(data)):
        raise ValueError(
            f"is a {header.kind} of {width}x{height} pixels in {len(data)} bytes: no picture has that"
        )
    return header


def _jpeg(data: bytes) -> ImageHeader:
    """OpenCV before 5 decodes some truncated JPEGs without an error and leaves the missing part grey.

    The end marker FF D9 cannot occur within coded pixels, but does in an embedded thumbnail: so look behind
    the headers.
    """
    position, size, exif, reducible = 2, (0, 0), False, False
    while data[position : position + 1] == b"\xff" and position + 1 < len(data):
        marker = data[position + 1]
        if marker == 0xDA:  # start of scan: coded pixels follow
            end = data.rfind(b"\xff\xd9", position)
            if end < 0:
                break
            if data.count(b"\xff\xda", position, end) > MOST_SCANS:
                raise ValueError(f"is a JPEG of more than {MOST_SCANS} scans: no picture has that")
            return ImageHeader("JPEG", size, exif, reducible and min(size) > 0, end)
        if marker == 0xFF:  # padding
            position += 1
            continue
        if marker in FRAMES:
            size = struct.unpack_from(">HH", data, position + 5)
            reducible = marker in HUFFMAN_FRAMES
        exif = exif or data[position + 4 : position + 10] == b"Exif\x00\x00"
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    raise ValueError("is a truncated JPEG")


def _png(data: bytes) -> ImageHeader:
    """OpenCV trusts the lengths of chunks, and takes 2 GB if one says so; a film that is crafted ends its
    process (4.11 and 5.0: a tenth of a million mutated files of other kinds did not)."""
    position, name, whole = 8, b"", memoryview(data)
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            raise ValueError("is a truncated PNG")
        if name in FILM:
            raise ValueError("is an animated PNG: save the frame that is meant as PNG or JPEG")
        if zlib.crc32(whole[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise ValueError(f"is a damaged PNG: the checksum of its part {name!r} does not agree")
        position = end + 4
    width, height = struct.unpack_from(">II", data, 16)
    return ImageHeader("PNG", (height, width))


def _bmp(data: bytes) -> ImageHeader:
    (length,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if length == 12 else "<ii", data, 18)
    return ImageHeader("BMP", (abs(height), abs(width)))


def _webp(data: bytes) -> ImageHeader:
    (length,) = struct.unpack_from("<I", data, 4)
    if len(data) < length + 8:
        raise ValueError("is a truncated WebP")
    chunk = data[8:16]
    if chunk == b"WEBPVP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif chunk == b"WEBPVP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        width, height = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    elif chunk == b"WEBPVP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise ValueError("is not an image: a RIFF file, but no WebP")
    return ImageHeader("WebP", (height, width))


def _tiff(data: bytes) -> ImageHeader:
    order = "<" if data[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, directory)
    found = {256: 0, 257: 0, 258: 1, 339: 1}  # width, height, bits a sample, 1 for whole numbers
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", data, entry)
        if tag in found:
            wide = kind == 4  # LONG, else SHORT
            fits = values <= (1 if wide else 2)
            at = entry + 8 if fits else struct.unpack_from(order + "I", data, entry + 8)[0]
            found[tag] = max(found[tag], *struct.unpack_from(order + ("I" if wide else "H"), data, at))
    if found[258] > 16 or found[339] not in (1, 2):
        raise ValueError(
            f"is a TIFF of {found[258]} bits a channel: save it with 8 or 16 bits, scaled to them"
        )
    return ImageHeader("TIFF", (found[257], found[256]))


def _gif(data: bytes) -> ImageHeader:
    raise ValueError("is a GIF, a film as like as not: save the frame that is meant as PNG or JPEG")


def _big_tiff(data: bytes) -> ImageHeader:
    raise ValueError("is a BigTIFF: save it as PNG, JPEG or TIFF")


_READERS = {  # how a file begins -> what reads its header
    b"\xff\xd8": _jpeg,
    b"\x89PNG\r\n\x1a\n": _png,
    b"BM": _bmp,
    b"RIFF": _webp,
    b"II*\x00": _tiff,
    b"MM\x00*": _tiff,
    b"II+\x00": _big_tiff,
    b"MM\x00+": _big_tiff,
    b"GIF8": _gif,
}
