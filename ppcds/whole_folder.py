"""Folders that are whole or absent, as files.py has it for files."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from ppcds.errors import UserError
from ppcds.files import errors_naming


@contextlib.contextmanager
def folder_written_whole(folder: str | os.PathLike, known: Collection[str]) -> Iterator[Path]:
    """A temporary folder beside `folder`; it becomes `folder` when the block ends.

    known: names that such a folder may hold. One from before is replaced as a whole; raises UserError, before
    the block, if it holds anything else, which is somebody's own.  After an error `folder` is what it was.
    A kill between the two renames leaves the former one beside it, as .<name>.<process>.former.
    """
    folder = Path(os.path.abspath(folder))
    require_replaceable(folder, known)
    temporary, former = (folder.with_name(f".{folder.name}.{os.getpid()}.{end}") for end in ("tmp", "former"))
    with errors_naming(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for leftover in (temporary, former):  # of a killed process of this number
            shutil.rmtree(leftover, ignore_errors=True)
        temporary.mkdir()
        try:
            yield temporary
            for path in temporary.rglob("*"):
                if path.is_file():
                    with open(path, "rb+") as file:
                        os.fsync(file.fileno())
            _exchange(temporary, folder, former)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def require_replaceable(folder: Path, known: Collection[str]) -> None:
    """Raise UserError if `folder` is a file, or holds anything whose name is not one of `known`."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{folder} is a file: name a folder")
    others = sorted(path.name for path in folder.iterdir() if path.name not in known)
    if others:
        raise UserError(f"{folder} holds other files ({others[0]}): name a folder that is new or empty")


def _exchange(temporary: Path, folder: Path, former: Path) -> None:
    if folder.exists():
        os.rename(folder, former)
    try:
        os.rename(temporary, folder)
    except OSError:
        if former.exists():
            os.rename(former, folder)
        raise
    shutil.rmtree(former, ignore_errors=True)
