"""Writing the files of an archive, each whole or not at all, so that an interrupted run can go on."""

from __future__ import annotations

import os
import shutil
import zlib
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from ppcds.datasets.archive import Entry
from ppcds.datasets.archive_names import UNFINISHED
from ppcds.errors import UserError

CHUNK = 1 << 20  # bytes


def unpack(entries: list[Entry], target: Path) -> None:
    """Write the entries under `target`, leaving those alone that are there already with the same bytes.

    Each file gets its name when it is complete. Raises UserError if the disk has too little space.
    """
    absent = sum(entry.size for entry in entries if not _has_size(target / entry.path, entry.size))
    target.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target).free
    if absent > free:
        raise UserError(f"{target} needs {absent / 1e9:.2f} GB more, and {free / 1e9:.2f} GB are free there")
    unfinished = target / UNFINISHED
    total = sum(entry.size for entry in entries)
    try:
        with tqdm(total=total, desc="Unpacking", unit="B", unit_scale=True, mininterval=0.5) as bar:
            for entry in entries:
                destination = target / entry.path
                if not _is_there(entry, destination):
                    destination.parent.mkdir(parents=True, exist_ok=True)
                    _write(entry, unfinished)
                    os.replace(unfinished, destination)
                bar.update(entry.size)
    finally:
        unfinished.unlink(missing_ok=True)


def _write(entry: Entry, path: Path) -> None:
    left = entry.size
    with entry.open() as source, open(path, "wb") as file:
        while left > 0:
            chunk = source.read(min(CHUNK, left))  # never more than declared; zipfile checks the CRC
            if not chunk:
                raise EOFError(f"{entry.path} ends {left} bytes early")
            file.write(chunk)
            left -= len(chunk)


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _is_there(entry: Entry, path: Path) -> bool:
    if not _has_size(path, entry.size):
        return False
    return _crc(path.open("rb")) == (_crc(entry.open()) if entry.crc is None else entry.crc)


def _crc(file: BinaryIO) -> int:
    crc = 0
    with file:
        while chunk := file.read(CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc
