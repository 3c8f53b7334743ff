"""What an archive holds, refused if it is hostile: paths that lead outside, links, duplicates, bombs."""

from __future__ import annotations

import contextlib
import lzma
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Callable, Optional

from ppcds.datasets.archive_names import checked_path, name_in_zip
from ppcds.datasets.tar_headers import SPARSE, BoundedTarInfo, Refused
from ppcds.errors import UserError

MAX_RATIO = 200  # unpacked to packed size; images hardly compress, a bomb reaches 1000
ALWAYS_FINE = 10 << 20  # bytes that may be unpacked at any ratio
ALIKE = "one file on some systems: give one of them another name, in the CSV too"
MAX_ENTRIES = 2_000_000  # each takes a kilobyte of memory, and in a packed archive hardly a byte
DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError,
    NotImplementedError, ValueError, OverflowError, RecursionError,
)  # fmt: skip


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
        elif _is_tar(source):
            with tarfile.open(source, tarinfo=BoundedTarInfo) as tar:
                yield _without_clashes(source, _tar_entries(source, tar))
        elif zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                yield _without_clashes(source, _zip_entries(source, archive))
        else:
            raise UserError(
                f"{source} is no folder, .zip or .tar.gz; if it is named so, it was not downloaded whole"
            )
    except Refused as refused:
        raise UserError(f"{source} refused: {refused}") from None
    except DAMAGE as error:
        raise UserError(f"{source} is damaged, get it again: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise UserError(f"{error.filename or source}: {error.strerror or error}") from error


def _is_tar(source: Path) -> bool:
    try:
        tarfile.open(source, tarinfo=BoundedTarInfo).close()  # not is_tarfile, which reads any header
    except (tarfile.TarError, EOFError):
        return False
    return True


def _zip_entries(source: Path, archive: zipfile.ZipFile) -> Iterator[Entry]:
    unpacked = 0
    _refuse_too_many(source, len(archive.infolist()))
    for info in archive.infolist():
        path = checked_path(source, name_in_zip(source, info))
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UserError(f"{source} refused: {info.filename!r} is a link or device, not a file")
        if info.flag_bits & 1:
            raise UserError(
                f"{source} refused: {info.filename!r} is encrypted: unpack it, and give the folder"
            )
        unpacked += info.file_size
        _refuse_bomb(source, repr(info.filename), info.file_size, info.compress_size)
        _refuse_bomb(source, "all of it", unpacked, source.stat().st_size)
        is_folder = info.filename.endswith(("/", "\\"))
        if not is_folder:
            yield Entry(path, info.file_size, lambda info=info: archive.open(info), info.CRC)


def _tar_entries(source: Path, tar: tarfile.TarFile) -> Iterator[Entry]:
    unpacked = 0
    for count, member in enumerate(tar):
        if member.size < 0:
            raise UserError(f"{source} refused: {member.name!r} is of {member.size} bytes")
        _refuse_too_many(source, count + 1)
        path = checked_path(source, member.name)
        if not (member.isreg() or member.isdir()):
            raise UserError(f"{source} refused: {member.name!r} is a link or device, not a file")
        if member.issparse():
            raise UserError(f"{source} refused: {member.name!r} {SPARSE}")
        unpacked += member.size
        # the offset too: headers alone can fill a bomb
        _refuse_bomb(source, repr(member.name), max(unpacked, tar.offset), source.stat().st_size)
        if member.isreg():
            yield Entry(path, member.size, lambda member=member: tar.extractfile(member))


def _folder_entries(source: Path) -> Iterator[Entry]:
    files = sorted(islice(source.rglob("*"), MAX_ENTRIES + 1))
    _refuse_too_many(source, len(files))
    for file in files:
        if file.is_symlink():
            raise UserError(f"{file} is a link: put there what it points to")
        if file.is_file():
            path = checked_path(source, file.relative_to(source).as_posix())
            yield Entry(path, file.stat().st_size, lambda file=file: file.open("rb"))


def _refuse_too_many(source: Path, count: int) -> None:
    """Folders and what macOS adds count: they take memory too."""
    if count > MAX_ENTRIES:
        raise UserError(f"{source} refused: it holds more than {MAX_ENTRIES} files and folders")


def _refuse_bomb(source: Path, what: str, unpacked: int, packed: int) -> None:
    if unpacked > ALWAYS_FINE and unpacked > MAX_RATIO * packed:
        raise UserError(
            f"{source} refused: with {what} {packed / 1e6:.2f} MB would unpack to {unpacked / 1e6:.1f} MB or "
            f"more, over {MAX_RATIO} times its size: a bomb"
        )


def _without_clashes(source: Path, entries: Iterator[Entry]) -> list[Entry]:
    """The entries without what macOS adds; none may appear twice, or be a file and a folder.

    Names that differ in case alone, or in how an accent is written, are one file on Windows and macOS.
    """
    kept, files, folders = [], {}, set()
    for entry in entries:
        parts = entry.path.split("/")
        if "__MACOSX" in parts or parts[-1] == ".DS_Store":
            continue
        same = _folded(entry.path)
        if same in files:
            other = files[same]
            how = "twice" if other == entry.path else f"and {other!r}, {ALIKE}"
            raise UserError(f"{source} refused: it holds {entry.path!r} {how}")
        files[same] = entry.path
        folders.update(_folded("/".join(parts[:end])) for end in range(1, len(parts)))
        kept.append(entry)
    both = files.keys() & folders
    if both:
        raise UserError(f"{source} refused: {files[min(both)]!r} is both a file and a folder")
    return kept


def _folded(path: str) -> str:
    return path.lower() if path.isascii() else unicodedata.normalize("NFC", path).casefold()
