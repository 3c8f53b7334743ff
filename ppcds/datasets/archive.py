"""What an archive holds, refused if it is hostile: paths that lead outside, links, duplicates, bombs."""

from __future__ import annotations

import contextlib
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Callable, Optional

from ppcds.errors import UserError

MAX_RATIO = 200  # unpacked to packed size; images hardly compress, a bomb reaches 1000
ALWAYS_FINE = 10 << 20  # bytes that may be unpacked at any ratio
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)


@dataclass(frozen=True)
class Entry:
    """A regular file of an archive or folder; `path` is relative, checked, with forward slashes."""

    path: str
    size: int  # bytes, as declared
    open: Callable[[], BinaryIO]
    crc: Optional[int] = None  # CRC-32 where the archive states it


@contextlib.contextmanager
def archive_entries(source: Path) -> Iterator[list[Entry]]:
    """The files of a folder, .zip or (compressed) .tar, to be read within the `with` block.

    Raises UserError for entries that no honest data set has, and for a damaged archive, here or in the block.
    """
    try:
        if source.is_dir():
            yield _without_clashes(source, _folder_entries(source))
        elif not source.is_file():
            raise UserError(f"there is no archive or folder {source}")
        elif tarfile.is_tarfile(source):
            with tarfile.open(source) as tar:
                yield _without_clashes(source, _tar_entries(source, tar))
        elif zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                yield _without_clashes(source, _zip_entries(source, archive))
        else:
            raise UserError(
                f"{source} is no folder, .zip or .tar.gz; if it is named so, it was not downloaded whole"
            )
    except DAMAGE as error:
        raise UserError(f"{source} is damaged, get it again: {error}") from error
    except OSError as error:
        raise UserError(f"{error.filename or source}: {error.strerror or error}") from error


def _zip_entries(source: Path, archive: zipfile.ZipFile) -> Iterator[Entry]:
    unpacked = 0
    for info in archive.infolist():
        path = _checked_path(source, info.filename)
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UserError(f"{source} refused: {info.filename!r} is a link or device, not a file")
        if info.flag_bits & 1:
            raise UserError(f"{source} refused: {info.filename!r} is encrypted")
        unpacked += info.file_size
        _refuse_bomb(source, info.filename, info.file_size, info.compress_size)
        _refuse_bomb(source, "all of it", unpacked, source.stat().st_size)
        if not info.filename.endswith(("/", "\\")):
            yield Entry(path, info.file_size, lambda info=info: archive.open(info), info.CRC)


def _tar_entries(source: Path, tar: tarfile.TarFile) -> Iterator[Entry]:
    unpacked = 0
    for member in tar:
        path = _checked_path(source, member.name)
        if not (member.isreg() or member.isdir()):
            raise UserError(f"{source} refused: {member.name!r} is a link or device, not a file")
        unpacked += member.size
        # the offset too: headers alone can fill a bomb
        _refuse_bomb(source, "all of it", max(unpacked, tar.offset), source.stat().st_size)
        if member.isreg():
            yield Entry(path, member.size, lambda member=member: tar.extractfile(member))


def _folder_entries(source: Path) -> Iterator[Entry]:
    for file in sorted(source.rglob("*")):
        if file.is_symlink():
            raise UserError(f"{file} is a link: put there what it points to")
        if file.is_file():
            path = _checked_path(source, file.relative_to(source).as_posix())
            yield Entry(path, file.stat().st_size, lambda file=file: file.open("rb"))


def _checked_path(source: Path, name: str) -> str:
    """The relative path of an entry, with forward slashes, without empty parts."""
    path = name.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    drive = any(re.match("[A-Za-z]:", part) for part in parts)
    if path.startswith("/") or drive or ".." in parts or any(ord(letter) < 32 for letter in path):
        raise UserError(f"{source} refused: its entry {name!r} leaves the folder it would be unpacked into")
    return "/".join(parts)


def _refuse_bomb(source: Path, what: str, unpacked: int, packed: int) -> None:
    if unpacked > ALWAYS_FINE and unpacked > MAX_RATIO * packed:
        raise UserError(f"{source} refused: {what} unpacks to more than {MAX_RATIO} times its size, a bomb")


def _without_clashes(source: Path, entries: Iterator[Entry]) -> list[Entry]:
    """The entries without what macOS adds; none may appear twice, or be a file and a folder."""
    kept, files, folders = [], set(), set()
    for entry in entries:
        if entry.path in files:
            raise UserError(f"{source} refused: it holds {entry.path!r} twice")
        files.add(entry.path)
        parts = entry.path.split("/")
        folders.update("/".join(parts[:end]) for end in range(1, len(parts)))
        if "__MACOSX" not in parts and parts[-1] != ".DS_Store":
            kept.append(entry)
    if files & folders:
        raise UserError(f"{source} refused: {min(files & folders)!r} is both a file and a folder")
    return kept
