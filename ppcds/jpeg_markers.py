"""The markers of a JPEG: its size, its scans, and where its own end is."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # none of these occurs within coded pixels
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
START, END, SCAN = 0xD8, 0xD9, 0xDA
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers that tell a size
HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive; the others are arithmetic or lossless
MOST_SCANS = 200  # a progressive one has ten, and each takes as long as a whole image
MOST_SEGMENTS = 20_000  # of at most 64 kB
ALL_COEFFICIENTS = (1 << 64) - 1


class JpegMarkers(NamedTuple):
    """size: height, width.  end: where the end marker is.  last_scan: where the last scan's pixels begin.

    coarse_first: a progressive JPEG, whose last scan adds the last bit of what is there already.
    """

    size: tuple[int, int]
    has_exif: bool
    huffman: bool
    coarse_first: bool
    scans: int
    last_scan: int
    end: int


def read_markers(data: bytes) -> JpegMarkers:
    """Of a JPEG, which may have thumbnails before its pixels and anything behind its end.

    Raises ValueError for one that ends early, or before each bit of each coefficient has had its scan.
    """
    size, has_exif, frame, scans, last_scan, position = (0, 0), False, 0, 0, 0, 2
    sent: dict[int, int] = {}  # of each component, the coefficients that are there to the last bit
    for _ in range(MOST_SEGMENTS):
        found = MARKER.search(data, position)
        marker = data[found.end() - 1] if found else START
        if marker == START or (marker == END and not scans):
            break
        if marker == END:
            if any(coefficients != ALL_COEFFICIENTS for coefficients in sent.values()):
                raise ValueError("is a truncated JPEG: scans are missing")
            return JpegMarkers(
                size, has_exif, frame in HUFFMAN_FRAMES, frame & 3 == 2, scans, last_scan, found.start()
            )
        at = found.end()
        position = at + int.from_bytes(data[at : at + 2], "big")
        if marker in FRAMES:
            frame, size = marker, struct.unpack_from(">HH", data, at + 3)
            sent = dict.fromkeys(data[at + 8 : position : 3], 0)
        elif marker == SCAN:
            scans, last_scan = scans + 1, position
            if scans > MOST_SCANS:
                raise ValueError(f"is a JPEG of more than {MOST_SCANS} scans: no picture has that")
            progressive = frame & 3 == 2
            for component in data[at + 3 : position - 3 : 2]:
                sent[component] = sent.get(component, 0) | _coefficients(data, position, progressive)
        has_exif = has_exif or data[at + 2 : at + 8] == b"Exif\x00\x00"
    else:
        raise ValueError(f"is a JPEG of more than {MOST_SEGMENTS} parts: no picture has that")
    raise ValueError("is a truncated JPEG")


def _coefficients(data: bytes, end: int, progressive: bool) -> int:
    """Those that a scan completes, as bits; its header stops at `end`."""
    if not progressive:
        return ALL_COEFFICIENTS
    first, last, bits = struct.unpack_from("BBB", data, end - 3)
    return 0 if bits & 15 else (1 << last + 1) - (1 << first)


def with_more_data(data: bytes, markers: JpegMarkers) -> bytes:
    """The JPEG with bytes before its end marker: they change blocks that have no data, and no others.

    The first ends an FF that the data was cut behind, the marker begins the part that it was cut before.
    """
    restarts = len(RESTART.findall(data, markers.last_scan, markers.end)) % 8
    more = bytes(range(200)) + bytes((0xFF, 0xD0 + restarts)) + bytes(range(1, 200))
    return data[: markers.end] + more + data[markers.end :]
