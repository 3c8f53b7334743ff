"""Image files as they come: what has to be read, and what has to be refused, with words of the reason.

`write(folder)` makes all of them. Kept apart from pytest, for tests that read them on different paths.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

HEIGHT, WIDTH = 60, 100


def picture() -> Image.Image:
    """Smooth and coloured, so that a decoder that fails shows."""
    coarse = np.random.RandomState(0).randint(0, 256, (6, 10, 3), dtype=np.uint8)
    return Image.fromarray(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def array_file(array: np.ndarray, suffix: str = ".png") -> bytes:
    """Of values [H, W], [H, W, RGB] or [H, W, 4]."""
    if array.ndim == 3 and array.shape[2] == 3:
        array = array[..., ::-1]
    return cv2.imencode(suffix, array)[1].tobytes()


def turned(kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x112] = 6
    return encoded(picture(), kind, exif=exif)


def _alpha(level: int) -> np.ndarray:
    """A square in the transparency alone, over one colour."""
    image = np.full((HEIGHT, WIDTH, 4), level, np.uint8)
    image[..., 3] = 0
    image[20:40, 30:60, 3] = 255
    return image


def photograph() -> np.ndarray:
    """Without noise, as a camera sees: shades, edges and fine stripes; [180, 320, 3]."""
    random = np.random.RandomState(0)
    y, x = np.mgrid[:180, :320].astype(np.float32)
    image = np.stack([90 + 60 * np.sin(x / 97 + c) + 50 * np.cos(y / 61 + 2 * c) for c in range(3)], -1)
    for _ in range(40):
        center, radius = (int(random.randint(320)), int(random.randint(180))), int(random.randint(4, 40))
        cv2.circle(image, center, radius, random.randint(0, 256, 3).tolist(), -1)
    image += 12 * np.sin(x * y / 900)[..., None]
    return cv2.GaussianBlur(image.clip(0, 255), (0, 0), 0.8).astype(np.uint8)


def chunk(name: bytes, data: bytes, wrong: int = 0) -> bytes:
    """A part of a PNG; its checksum is right if `wrong` is 0."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data) ^ wrong)


def with_ancillary(png: bytes) -> bytes:
    """With two parts that may be left out, and whose checksums are wrong."""
    at = png.index(b"IDAT") - 4
    return png[:at] + chunk(b"tEXt", b"a\0b", 1) + chunk(b"pHYs", bytes(9), 1) + png[at:]


def png_of(width: int, height: int) -> bytes:
    """A PNG of zeros, of a kilobyte a million pixels: 1 bit a pixel."""
    coder = zlib.compressobj(9)
    row = bytes(1 + -(-width // 8))
    body = b"".join(coder.compress(row) for _ in range(height)) + coder.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def with_size(data: bytes, width: int, height: int) -> bytes:
    """A JPEG that says it is of that size."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def read_files() -> dict[str, bytes]:
    """{name: content} of what is read."""
    image, pixels = picture(), np.asarray(picture())
    grey = pixels[..., 0]
    return {
        "jpeg.jpg": encoded(image, "JPEG"),
        "progressive.jpg": encoded(image, "JPEG", progressive=True),
        "cmyk.jpg": encoded(image.convert("CMYK"), "JPEG"),
        "grey.jpg": encoded(image.convert("L"), "JPEG"),
        "turned.jpg": turned("JPEG"),
        "trailing.jpg": encoded(image, "JPEG") + bytes(100),
        "really_png.jpg": encoded(image, "PNG"),
        "really_jpeg.png": encoded(image, "JPEG"),
        "palette.png": encoded(image.convert("P"), "PNG"),
        "one_bit.png": encoded(image.convert("1"), "PNG"),
        "alpha.png": encoded(image.convert("RGBA"), "PNG"),
        "grey_alpha.png": encoded(image.convert("LA"), "PNG"),
        "sixteen.png": array_file(pixels.astype(np.uint16) * 257),
        "sixteen_grey.png": array_file(grey.astype(np.uint16) * 257),
        "ancillary.png": with_ancillary(encoded(image, "PNG")),
        "webp.webp": encoded(image, "WEBP"),
        "lossless.webp": encoded(image, "WEBP", lossless=True),
        "alpha.webp": encoded(image.convert("RGBA"), "WEBP"),
        "film.webp": encoded(image, "WEBP", save_all=True, append_images=[image.rotate(180)]),
        "bmp.bmp": encoded(image, "BMP"),
        "tiff.tif": encoded(image, "TIFF"),
        "packed.tiff": encoded(image, "TIFF", compression="tiff_lzw"),
        "sixteen.tiff": array_file(pixels.astype(np.uint16) * 257, ".tiff"),
        "pixel.jpg": encoded(image.resize((1, 1)), "JPEG"),
        "pixel.png": encoded(image.resize((1, 1)), "PNG"),
        "black.png": array_file(np.zeros((HEIGHT, WIDTH, 3), np.uint8)),
        "black_alpha.png": array_file(np.full((HEIGHT, WIDTH, 4), (0, 0, 0, 255), np.uint8)),
        "black_sixteen.png": array_file(np.zeros((HEIGHT, WIDTH), np.uint16)),
        "dark.png": array_file(pixels // 32),
        "grey_128.jpg": encoded(Image.new("RGB", (WIDTH, HEIGHT), (128, 128, 128)), "JPEG"),
        "grey_128.png": array_file(np.full((HEIGHT, WIDTH, 3), 128, np.uint8)),
        "grey_65.jpg": encoded(Image.new("RGB", (WIDTH, HEIGHT), (65, 65, 65)), "JPEG"),
    }


def many_scans(progressive: bytes) -> bytes:
    """The JPEG with its last scan a thousand times."""
    start = progressive.rindex(b"\xff\xda")
    return progressive[:start] + 1000 * progressive[start:-2] + progressive[-2:]


def refused_files() -> dict[str, tuple[bytes, str]]:
    """{name: (content, words of the reason)} of what is refused."""
    image, pixels = picture(), np.asarray(picture())
    jpeg, png, webp = (encoded(image, kind) for kind in ("JPEG", "PNG", "WEBP"))
    cmyk, tiff = encoded(image.convert("CMYK"), "JPEG"), encoded(image, "TIFF")
    broken_crc = bytearray(png)
    broken_crc[len(png) // 2] ^= 1
    return {
        "empty.jpg": (b"", "is empty (zero bytes)"),
        "text.jpg": (b"filename,class\n", "is not an image: JPEG, PNG, BMP, WebP and TIFF are read"),
        "zeros.jpg": (bytes(5000), "is not an image"),
        "page.jpg": (b"<!DOCTYPE html><html>404</html>", "is not an image"),
        "gif.gif": (encoded(image, "GIF"), "is a GIF"),
        "film.png": (
            encoded(image, "PNG", save_all=True, append_images=[image.rotate(180)]),
            "is an animated PNG",
        ),
        "gif.jpg": (encoded(image, "GIF"), "is a GIF"),
        "cut_half.jpg": (jpeg[: len(jpeg) // 2], "is a truncated JPEG"),
        "cut_last_percent.jpg": (jpeg[: int(len(jpeg) * 0.995)], "is a truncated JPEG"),
        "cut_and_ended.jpg": (jpeg[: int(len(jpeg) * 0.7)] + b"\xff\xd9", "it ends before its last rows"),
        "cut_and_ended_cmyk.jpg": (
            cmyk[: int(len(cmyk) * 0.7)] + b"\xff\xd9",
            "it ends before its last rows",
        ),
        "scans.jpg": (many_scans(encoded(image, "JPEG", progressive=True)), "more than 200 scans"),
        "zero_tail.jpg": (jpeg[: len(jpeg) // 2] + bytes(len(jpeg) // 2), "is a truncated JPEG"),
        "cut.png": (png[: int(len(png) * 0.99)], "is a truncated PNG"),
        "no_end.png": (png[:-12], "is a truncated PNG"),
        "zero_tail.png": (png[:-200] + bytes(200), "is a damaged PNG: the checksum of its part b'IDAT'"),
        "checksum.png": (
            bytes(broken_crc),
            "is a damaged PNG: the checksum of its part b'IDAT' does not agree",
        ),
        "long_chunk.png": (
            png.replace(png[png.index(b"IDAT") - 4 : png.index(b"IDAT")] + b"IDAT", b"\x7f\xff\xff\xffIDAT"),
            "is a truncated PNG",
        ),
        "cut.webp": (webp[: int(len(webp) * 0.99)], "is a truncated WebP"),
        "sound.webp": (b"RIFF" + struct.pack("<I", 40) + b"WAVEfmt " + bytes(range(32)), "no WebP"),
        "cut.bmp": (encoded(image, "BMP")[:-50], "is not an image, or a damaged one"),
        "header.bmp": (b"BM" + bytes(10), "a header in it is not whole"),
        "cut.tif": (tiff[:-500], "is not an image, or a damaged one"),
        "loop.tif": (
            b"II*\x00" + struct.pack("<IHHHII", 8, 65535, 256, 4, 2**31, 8),
            "a header in it is not whole",
        ),
        "big.tif": (b"II+\x00\x08\x00\x00\x00", "is a BigTIFF"),
        "float.tif": (encoded(image.convert("F"), "TIFF"), "TIFF of 32 bits a channel"),
        "integers.tif": (encoded(image.convert("I"), "TIFF"), "TIFF of 32 bits a channel"),
        "twelve_bits.png": (array_file(pixels.astype(np.uint16) * 16), "as 8-bit RGB"),
        "only_alpha_black.png": (array_file(_alpha(0)), "as 8-bit RGB"),
        "only_alpha_white.png": (array_file(_alpha(255)), "as 8-bit RGB"),
        "only_alpha.webp": (
            encoded(Image.fromarray(_alpha(0)), "WEBP", lossless=True, exact=True),
            "as 8-bit RGB",
        ),
        "bomb.png": (png_of(30_000, 30_000), "is a PNG of 30000x30000 pixels, which would take 2.7 GB"),
        "blank.png": (png_of(6000, 5000), "is a PNG of 6000x5000 pixels in "),
        "bomb.jpg": (with_size(jpeg, 30_000, 30_000), "is a JPEG of 30000x30000 pixels"),
    }


def write(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Names of files in `folder` that are read, and {name: words of the reason} of those refused."""
    read, refused = read_files(), refused_files()
    for name, content in read.items():
        (folder / name).write_bytes(content)
    for name, (content, _) in refused.items():
        (folder / name).write_bytes(content)
    return list(read), {name: words for name, (_, words) in refused.items()}


def write_no_files(folder: Path) -> dict[str, str]:
    """{name: words of the reason} of a folder, a pipe and, unless this is root, a file one may not read."""
    (folder / "folder.jpg").mkdir()
    os.mkfifo(folder / "pipe.jpg")
    made = {"folder.jpg": "Is a directory", "pipe.jpg": "is a pipe or device", "absent.jpg": "No such file"}
    if os.geteuid():
        (folder / "locked.jpg").write_bytes(encoded(picture(), "JPEG"))
        (folder / "locked.jpg").chmod(0)
        made["locked.jpg"] = "Permission denied"
    return made
