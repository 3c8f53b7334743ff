"""Every image of a data set, read and decoded once; which of them are the same, byte for byte."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Optional

from tqdm import tqdm

from ppcds.datasets.images import decode_image
from ppcds.errors import UserError
from ppcds.image_files import read_image_bytes
from ppcds.runtime import available_cores

AT_ONCE = 1000  # images that are handed to the threads: a million would wait in a gigabyte


class Checked(NamedTuple):
    """sizes: counts of the (width, height) of the sound images.  broken: {filename: reason}.

    digests: {filename: digest of its bytes} of all that could be read.
    """

    sizes: Counter
    broken: dict[str, str]
    digests: dict[str, bytes]


def check_images(folder: Path, filenames: list[str]) -> Checked:
    """Decode these files below `folder`, by threads: OpenCV decodes outside Python's lock."""
    checked = Checked(Counter(), {}, {})

    def check(filename: str) -> tuple[Optional[bytes], Optional[tuple[int, int]], str]:
        digest = None
        try:
            data = read_image_bytes(folder / filename)
            digest = hashlib.blake2b(data, digest_size=16).digest()
            return digest, decode_image(data)[1], ""
        except UserError as error:
            return digest, None, str(error)
        except (ValueError, MemoryError) as reason:
            return digest, None, f"{folder / filename} {reason}"

    pool = ThreadPoolExecutor(available_cores())
    try:
        with tqdm(total=len(filenames), desc="Verifying", unit="image") as bar:
            for start in range(0, len(filenames), AT_ONCE):
                part = filenames[start : start + AT_ONCE]
                for filename, (digest, size, reason) in zip(part, pool.map(check, part)):
                    if digest:
                        checked.digests[filename] = digest
                    if size:
                        checked.sizes[size[::-1]] += 1
                    else:
                        checked.broken[filename] = reason
                bar.update(len(part))
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for the rest
    return checked


def first_of_each(digests: dict[str, bytes], filenames: Iterable[str]) -> dict[bytes, str]:
    """{digest: the first of these files that has it}."""
    first: dict[bytes, str] = {}
    for name in filenames:
        if name in digests:
            first.setdefault(digests[name], name)
    return first


def copies(
    digests: dict[str, bytes],
    filenames: Iterable[str],
    originals: dict[bytes, str],
    classes: dict[str, str],
    other_classes: dict[str, str],
) -> dict[str, str]:
    """{filename: of what other file it is a copy} of those whose bytes are an original's.

    classes: of these files by their names; other_classes: of the originals. Where two differ, it is told.
    """
    found = {}
    for name in filenames:
        other = originals.get(digests.get(name, b""))
        if other is not None and other != name:
            ours, theirs = classes[name], other_classes[other]
            differ = f" (as {ours!r} here, as {theirs!r} there)" if ours != theirs else ""
            found[name] = f"{name} is {other}, byte for byte{differ}"
    return found
