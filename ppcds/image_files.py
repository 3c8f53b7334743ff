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
| truncated, or without scans of a JPEG       | refused, also where OpenCV would leave the rest grey      |
| a wrong checksum in a PNG                   | refused; read where the part can be done without          |
| 32 bits a channel                           | refused: what is white is not known                       |
| of one colour once in 8 bits without alpha, | refused: it would be black, or nearly                     |
| or 16 bits of which the upper 4 are empty   |                                                           |
| missing, a folder, a pipe, no permission    | refused                                                   |

What cannot be told: pixels changed or zeroed within a JPEG, BMP, TIFF or WebP that has its whole length; a
JPEG that has an end marker nevertheless and was cut within the bytes of its last 16x16 pixels, or progressive
within its last scan, which loses a little sharpness, or of arithmetic coding anywhere.
"""

from __future__ import annotations

import os
import stat

from ppcds.errors import UserError

MAX_BYTES = 1 << 30


class PassingFault(UserError):
    """Of the disk or the system, not of what is in the file: another time it may be read."""


def read_image_bytes(path: str | os.PathLike) -> bytes:
    """The content of an image file.

    Raises UserError with its name if it is none, and PassingFault if the system does not give it.
    """
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
        raise PassingFault(f"cannot read {name}: {error.strerror}") from error
    if not data:
        raise UserError(f"{name} is empty (zero bytes)")
    return data
