"""The packed images of a split: decoded and resized once, in one file that is mapped into memory.

<root>/packed/<split>_<H>x<W>_<interpolation>_<decode>/
  images.npy    uint8 [N, H, W, 3], RGB, in the order of the split
  labels.npy    int64 [N], numbers in the `classes` of packed.json, -1 = none
  sizes.npy     int32 [N, 2], height and width of the image in its file
  sources.json  the N filenames
  bad.json      {row: reason} of images that could not be read; their pixels are 0 and are never served
  packed.json   what these were made of and how, and checksums of their bytes; written last

Only a folder whose every byte agrees with packed.json is used.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import cv2
import numpy as np
import pydantic

from ppcds.errors import UserError
from ppcds.runtime import available_cores

if TYPE_CHECKING:
    from ppcds.datasets.file_split import FileSplit

FORMAT = 3  # of the files above
IMAGES, LABELS, SIZES, SOURCES, ABOUT = "images.npy", "labels.npy", "sizes.npy", "sources.json", "packed.json"
BAD = "bad.json"
Count = Annotated[int, pydantic.Field(strict=True, ge=0)]
BLOCKS = pydantic.TypeAdapter(  # of each file: length and CRC-32 of its consecutive blocks
    dict[
        Literal["images.npy", "labels.npy", "sizes.npy", "sources.json", "bad.json"],
        list[tuple[Count, Count]],
    ]
)
# what describe_packing tells -> why packed images that were described otherwise are not used
STALE = {
    "format": "another version of ppcds made it",
    "split": "it is of another split",
    "size": "its images have another size",
    "interpolation": "its images were resized otherwise",
    "decode": "its images were decoded otherwise",
    "opencv": "another version of OpenCV made it",  # whose pixels may differ
    "list": "the list of its images has changed since",
    "images": "it has another number of images",
    "files": "image files have changed since",
}


class NotUsable(Exception):
    """Why a folder of packed images is not used."""


class PackedImages:
    """The images of a folder as pixels [N, H, W, 3], read from the disk as they are asked for.

    bad: {row: reason} of those that could not be read when they were packed.
    Pickled as a path: another process maps the same file, and no pixel is copied.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = os.path.abspath(folder)
        path = os.path.join(self.folder, IMAGES)
        self.pixels = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        self.bad = _read_bad(os.path.join(self.folder, BAD))

    def __reduce__(self):
        return PackedImages, (self.folder,)

    def __len__(self) -> int:
        return len(self.pixels)

    def read(
        self, rows: int | np.ndarray, otherwise: Callable[[int, UserError], np.ndarray] | None = None
    ) -> np.ndarray:
        """A copy of one image [H, W, 3], or of those of an array of rows [n, H, W, 3].

        otherwise: see ImageSplit.load_images. Raises UserError with the reason for one that is bad.
        """
        if np.ndim(rows) == 0:
            if int(rows) in self.bad:
                raise UserError(self.bad[int(rows)])
            return np.array(self.pixels[rows])
        images = self.pixels[rows]
        for place, row in enumerate(rows.tolist() if self.bad else ()):
            if row in self.bad:
                error = UserError(self.bad[row])
                if otherwise is None:
                    raise error
                images[place] = otherwise(place, error)
        return images


def folder_of(split: FileSplit) -> Path:
    """Where the packed images of a split are, if there are any."""
    name = "{}_{}x{}_{}_{}".format(split.split, *split.size, split.interpolation, split.decode)
    return split.root / "packed" / name


def describe_packing(split: FileSplit) -> dict:
    """Everything that the packed pixels of a whole split depend on, as packed.json has it.

    list: a digest of what lists them.  files: one of name, length and time of change of every image, in the
    order of the rows. Raises UserError if a file is gone.
    """
    return {
        "format": FORMAT,
        "split": split.split,
        "size": list(split.size),
        "interpolation": split.interpolation,
        "decode": split.decode,
        "opencv": cv2.__version__,
        "list": split.list_digest(),
        "images": len(split),
        "files": digest_files(split.root, split.filenames),
    }


def digest_files(root: Path, filenames: list[str]) -> str:
    """A digest of name, length and time of change of these files below `root`, in their order.

    From one listing a folder: a second for 100,000 files. Raises UserError if a file is gone.
    """
    listings: dict[str, dict[str, str]] = {}
    digest = hashlib.sha256()
    for filename in filenames:
        folder, _, name = filename.rpartition("/")
        if folder not in listings:
            listings[folder] = {}
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    if entry.is_file():
                        found = entry.stat()
                        listings[folder][entry.name] = f"{found.st_size} {found.st_mtime_ns}"
        if name not in listings[folder]:
            raise UserError(f"{root / filename} is gone: it was there a moment ago")
        digest.update(f"{filename}\0{listings[folder][name]}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def sealed(content: dict) -> str:
    """`content` as a line of JSON with a checksum, by which any change of it is seen."""
    text = json.dumps(content)
    return json.dumps([zlib.crc32(text.encode()), text])


def unsealed(line: str | bytes) -> dict:
    """What was sealed. Raises ValueError if it is not whole."""
    try:
        crc, text = json.loads(line)
        content = json.loads(text) if zlib.crc32(text.encode()) == crc else None
    except (TypeError, AttributeError, RecursionError):  # other JSON, or nested without end
        content = None
    if not isinstance(content, dict):
        raise ValueError("its checksum does not agree")
    return content


def open_packed(folder: Path, wanted: dict) -> PackedImages:
    """The images of a folder, if they are whole and made of `wanted` (see describe_packing).

    Raises NotUsable with the reason if they are not. All bytes are read, once in a process.
    """
    about = _read_about(folder)
    for key, reason in STALE.items():
        if about.get(key) != wanted[key]:
            raise NotUsable(reason)
    for name, blocks in about["blocks"].items():
        found = (folder / name).stat() if (folder / name).is_file() else None
        length = sum(size for size, _ in blocks)
        if found is None or found.st_size != length:
            raise NotUsable(f"{name} has {found.st_size if found else 'no'} bytes and not {length}")
        key = (found.st_ino, found.st_size, found.st_mtime_ns)
        if not _is_whole(folder / name, key, tuple(map(tuple, blocks))):
            raise NotUsable(f"{name} is damaged: a checksum does not agree")
    try:
        packed = PackedImages(folder)
    except NotUsable:
        raise
    except Exception as error:  # the header of an array can raise almost any of them
        raise NotUsable(f"{IMAGES} is no array: {error}") from None
    if not set(packed.bad) <= set(range(len(packed))):
        raise NotUsable(f"{BAD} names rows that there are not")
    pixels = packed.pixels
    if pixels.dtype != np.uint8 or pixels.shape != (wanted["images"], *wanted["size"], 3):
        raise NotUsable(f"{IMAGES} holds {pixels.dtype} {pixels.shape}")
    return packed


def _read_bad(path: str) -> dict[int, str]:
    try:
        with open(path, encoding="ascii") as file:
            return {int(row): str(reason) for row, reason in json.load(file).items()}
    except (OSError, ValueError, RecursionError, AttributeError):
        raise NotUsable(f"{BAD} is damaged") from None


def _read_about(folder: Path) -> dict:
    try:
        about = unsealed((folder / ABOUT).read_bytes())
        return {**about, "blocks": BLOCKS.validate_python(about.get("blocks"))}
    except FileNotFoundError:
        raise NotUsable("it is not finished") from None
    except ValueError:
        raise NotUsable(f"{ABOUT} is damaged") from None


@functools.lru_cache(maxsize=64)
def _is_whole(path: Path, changed: tuple, blocks: tuple[tuple[int, int], ...]) -> bool:
    """Whether the consecutive (length, CRC-32) blocks are those of the file; `changed` is for the cache."""
    starts = np.cumsum([0, *(size for size, _ in blocks)]).tolist()
    with ThreadPoolExecutor(available_cores()) as pool:  # reading and zlib are outside Python's lock
        found = pool.map(lambda start, block: crc_of(path, start, block[0]), starts, blocks)
        return all(crc == expected for crc, (_, expected) in zip(found, blocks))


def crc_of(path: Path, start: int, length: int) -> int:
    """CRC-32 of some bytes of a file; not through a mapping, where a file that gets shorter ends the run."""
    with open(path, "rb") as file:
        file.seek(start)
        return zlib.crc32(file.read(length))
