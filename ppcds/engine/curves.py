"""VisualDL's curves of a run: one file over all resumes, and a run that goes on if they fail."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ppcds.files import remove_leftovers, write_whole

Kept = Callable[[str, int], bool]  # (tag, step) -> whether a run that goes on keeps that point


class Curves:
    """Scalars and pictures for VisualDL in `folder`; the first failure is told to `warn`, and ends them.

    keep: which points of an earlier part of the run stay. VisualDL shows one file of a folder, so a run that
    goes on adds to it, without the points of the steps that it makes once more.
    """

    def __init__(self, folder: Path, name: str, keep: Kept, warn: Callable[[str], None]) -> None:
        self.warn, self.failed = warn, False
        self._try(lambda: self._open(folder, name, keep))

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Values by tag, "train/loss" for instance."""
        for tag, value in values.items():
            self._try(lambda tag=tag, value=value: self.writer.add_scalar(tag, value, step))

    def picture(self, tag: str, image: np.ndarray) -> None:
        """An image [H, W, 3] uint8."""
        self._try(lambda: self.writer.add_image(tag, image, step=0, dataformats="HWC"))

    def embeddings(self, tag: str, rows: np.ndarray, labels: dict[str, list[str]]) -> None:
        """Rows [N, D] for the high-dimensional view, and what can be shown beside them: {name: [N]}."""
        texts, names = list(labels.values()), list(labels)
        self._try(lambda: self.writer.add_embeddings(tag, rows.tolist(), texts, names))

    def settle(self) -> None:
        """Wait until everything is in the file: a kill after the next checkpoint is not to leave a gap."""
        self._try(self._flush)

    def close(self) -> None:
        self.settle()
        self._try(lambda: self.writer.close())

    def _try(self, act: Callable[[], None]) -> None:
        if self.failed:
            return
        try:
            self._require_thread()
            act()
        except Exception as error:  # of whatever kind: curves are not worth a run
            self.failed = True
            self.warn(
                f"warning: VisualDL has failed ({type(error).__name__}: {error}): no more curves; "
                "metrics.csv and train.log have the numbers"
            )

    def _open(self, folder: Path, name: str, keep: Kept) -> None:
        from visualdl import LogWriter

        file_name, others = keep_points(folder, keep), set(threading.enumerate())
        with contextlib.redirect_stdout(io.StringIO()):  # it would say that the file is there
            self.writer = LogWriter(logdir=str(folder), display_name=name, file_name=file_name)
        self.threads = set(threading.enumerate()) - others

    def _flush(self) -> None:
        """VisualDL's own flush waits until its thread has written everything, for ever if that has ended."""
        errors: list[Exception] = []

        def flush() -> None:
            try:
                self.writer.flush()
            except Exception as error:
                errors.append(error)

        flushing = threading.Thread(target=flush, daemon=True)
        flushing.start()
        while flushing.is_alive():
            self._require_thread()
            flushing.join(0.05)
        if errors:
            raise errors[0]

    def _require_thread(self) -> None:
        """Where it has ended, VisualDL would wait for it without end."""
        if hasattr(self, "writer") and not (self.threads and all(own.is_alive() for own in self.threads)):
            raise RuntimeError("its writing thread has ended")


def keep_points(folder: Path, keep: Kept) -> str:
    """Leave one of VisualDL's files in `folder`, with the points to keep, each once; returns its name or "".

    Of a point that comes twice the later one stays.
    """
    remove_leftovers(folder)
    files = sorted(folder.glob("*vdlrecords*.log"))
    kept = {}
    for file in files:
        for tag, step, record in _records(file.read_bytes()):
            if keep(tag, step):
                kept[tag, step] = record
    if kept:
        write_whole(files[-1], b"".join(kept.values()))
    for file in files[:-1] if kept else files:
        file.unlink()
    return files[-1].name if kept else ""


def _records(content: bytes) -> Iterator[tuple[str, int, bytes]]:
    """(tag, step, bytes) of VisualDL's records, each behind its length, as far as they are whole."""
    from google.protobuf.message import DecodeError
    from visualdl.proto.record_pb2 import Record

    start = 0
    while start + 8 <= len(content):
        end = start + 8 + int.from_bytes(content[start : start + 8], "little")
        if end > len(content):
            return
        try:
            (value,) = Record.FromString(content[start + 8 : end]).values
        except (DecodeError, ValueError):
            return
        yield value.tag, value.id, content[start:end]
        start = end
