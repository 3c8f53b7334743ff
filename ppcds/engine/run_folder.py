"""A run's folder, held by one run at a time."""

from __future__ import annotations

import os
from pathlib import Path

from ppcds.distributed import once_for_all
from ppcds.errors import UserError
from ppcds.files import remove_leftovers

try:
    import fcntl
except ImportError:  # Windows: two runs in one folder go unnoticed there
    fcntl = None


_locks: set[int] = set()  # of folders that this process holds


def _let_go() -> None:
    """In a forked process: what reads images must not hold the folder of a run that was killed."""
    for descriptor in _locks:
        os.close(descriptor)
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


class RunFolder:
    """A run's folder, held by this process alone until `release`.

    A fresh run moves an earlier one aside (output/demo -> output/demo.1); `said` is a sentence about that.
    What a killed run has left half-written is removed.
    With several ranks the first of them holds it for all.
    Raises UserError, on every rank, if another run is going on in the folder, or it cannot be made.
    """

    def __init__(self, path: Path, resume: bool) -> None:
        self.said, self.lock = "", None
        once_for_all(lambda: self._hold(path, resume))

    def _hold(self, path: Path, resume: bool) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
            self.lock = _lock(path)
            if not resume and (path / "latest.safetensors").is_file():
                aside = _free_name(path)
                path.rename(aside)
                self.release()
                path.mkdir()
                self.lock = _lock(path)
                self.said = f"{path} held a run, it is now {aside} (--resume would go on with it)"
            remove_leftovers(path)
        except OSError as error:
            raise UserError(f"run.output_dir {path}: {error.strerror}") from error

    def release(self) -> None:
        if self.lock in _locks:
            _locks.remove(self.lock)
            os.close(self.lock)


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if fcntl:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UserError(f"another run is going on in {path}: name another run.output_dir") from None
    if not path.is_dir() or os.fstat(descriptor).st_ino != path.stat().st_ino:  # moved aside in between
        os.close(descriptor)
        raise UserError(f"another run has begun in {path}: name another run.output_dir")
    _locks.add(descriptor)
    return descriptor


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    return aside
