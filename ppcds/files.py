"""Files that are whole or absent, and what is said where they cannot be written."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ppcds.errors import UserError

NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows has no quota


class NotWritten(OSError, UserError):
    """A file that cannot be written: the disk is full, for instance, or may not be written to.

    Both an OSError, for those who can do without the file, and a UserError, which every rank is told.
    """

    def __str__(self) -> str:
        return f"cannot write {self.filename}: {self.strerror}"


@contextlib.contextmanager
def errors_naming(path: str | os.PathLike, size: int | None = None) -> Iterator[None]:
    """Raise NotWritten for an OSError of the block.  size: of the whole file in bytes, where it is known.

    What is free is told after the fact alone: some file systems cannot say it, and others pack what they get.
    """
    path = Path(path)
    try:
        yield
    except NotWritten:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in NO_ROOM:
            reason += _room(path.parent, size)
        raise NotWritten(error.errno, reason, str(path)) from error


@contextlib.contextmanager
def written_whole(path: str | os.PathLike, size: int | None = None) -> Iterator[Path]:
    """A temporary path beside `path`; what is written there becomes `path` in one step when the block ends.

    size: as in errors_naming.  After an error `path` is what it was and the temporary file is gone; an
    OSError is raised as NotWritten.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with errors_naming(path, size):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # of a killed process of this number: it may be a link to another
        try:
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):  # a disk that can only be read holds none
                temporary.unlink(missing_ok=True)
        _keep_name(path.parent)


def write_whole(path: str | os.PathLike, content: bytes) -> None:
    """Make `content` the file at `path`, or raise NotWritten and leave what is there."""
    with written_whole(path, len(content)) as temporary:
        temporary.write_bytes(content)


def link_whole(source: str | os.PathLike, path: str | os.PathLike) -> None:
    """Make `path` another name of the file `source`, or a copy of it where a file has one name only."""
    with written_whole(path, os.stat(source).st_size) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of processes that were killed; for a folder where nobody else writes."""
    for temporary in folder.glob(".*.tmp"):
        temporary.unlink(missing_ok=True)


def _keep_name(folder: Path) -> None:
    """Have the disk keep the names in a folder, as fsync has it keep a file's bytes.

    Windows and some network file systems cannot; what was written is whole there too, or not yet to be seen.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _room(folder: Path, size: int | None) -> str:
    """What is needed and what is free, for the end of a sentence."""
    needed = f"{size:,} bytes are needed" if size is not None else "room is needed"
    with contextlib.suppress(OSError):
        return f" ({needed}, {shutil.disk_usage(folder).free:,} bytes are free in {folder})"
    return f" ({needed})"
