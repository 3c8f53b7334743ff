"""What an image file says of itself before it is decoded, and whether it may be."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Optional

from ppcds.jpeg_markers import JpegMarkers, read_markers

MAX_PIXELS = 1 << 27  # a camera of 108 megapixels is below; decoded, 400 MB, and twice that meanwhile
ALWAYS_FINE = 1 << 24  # pixels that may come from any number of bytes
PIXELS_A_BYTE = 1000  # the most that others may: a blank page can, a picture does not
FILM = (b"acTL", b"fcTL", b"fdAT")  # chunks of a PNG
ANCILLARY = 0x20  # the bit that makes a chunk's first letter a small one: it can be drawn without


@dataclass(frozen=True)
class ImageHeader:
    """What stands before the coded pixels."""

    kind: str
    size: tuple[int, int]  # height, width as coded
    jpeg: Optional[JpegMarkers] = None


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
    markers = read_markers(data)
    return ImageHeader("JPEG", markers.size, markers)


def _png(data: bytes) -> ImageHeader:
    """OpenCV trusts the lengths of chunks, and takes 2 GB if one says so; a film that is crafted ends its
    process (4.11 and 5.0: a tenth of a million mutated files of other kinds did not)."""
    position, name, whole = 8, b"", memoryview(data)
    while name != b"IEND":
        length, name = struct.unpack(">I4s", data[position : position + 8].ljust(8, b"\xff"))
        end = position + 8 + length
        if end + 4 > len(data):
            raise ValueError("is a truncated PNG")
        if name in FILM:
            raise ValueError("is an animated PNG: save the frame that is meant as PNG or JPEG")
        needed = not name[0] & ANCILLARY
        if needed and zlib.crc32(whole[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
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
