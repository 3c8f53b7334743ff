"""From an archive or a folder to data/d/<name>, where the recipes look for it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ppcds.datasets.archive import archive_entries
from ppcds.datasets.cifar import convert_cifar10
from ppcds.datasets.unpack import unpack
from ppcds.errors import UserError

CIFAR10_FOLDER = "cifar-10-batches-py"
DEFAULT_NAME = "Sports10"  # where the archive has its files at the top, in no folder


def place(source: Path, root: Path, name: str | None = None) -> Path:
    """Unpack or copy the data set in `source` to `root`/<name> and return that folder.

    The data set is what lies beside train_split.csv, at whatever depth; its own folder's name is kept
    unless another is given. A folder that is in place is left as it is. CIFAR-10's official archive is
    converted. Raises UserError before anything is written if the source is refused.
    """
    if name is not None and (name in ("", ".", "..") or set(name) & set("/\\:")):
        raise UserError(f"--name {name!r}: give the name of one folder, for instance {DEFAULT_NAME}")
    if source.is_dir():
        return _place_folder(source, root, name)
    with archive_entries(source) as entries:
        paths = [entry.path for entry in entries]
        if any(CIFAR10_FOLDER in path.split("/")[:-1] for path in paths):
            return convert_cifar10(source, root)
        inner = _find_data_set(source, paths)
        folder = root / (name or inner.rpartition("/")[2] or DEFAULT_NAME)
        below = f"{inner}/" if inner else ""
        wanted = [
            replace(entry, path=entry.path[len(below) :]) for entry in entries if entry.path.startswith(below)
        ]
        unpack(wanted, folder)
    return folder


def _place_folder(source: Path, root: Path, name: str | None) -> Path:
    if source.resolve().name == CIFAR10_FOLDER or (source / CIFAR10_FOLDER).is_dir():
        return convert_cifar10(source, root)
    paths = [file.relative_to(source).as_posix() for file in source.rglob("*_split.csv")]
    data_set = source / _find_data_set(source, paths)
    folder = root / (name or data_set.resolve().name)
    here, there = os.path.realpath(data_set), os.path.realpath(folder)
    if here == there:
        return folder
    if there.startswith(here + os.sep):
        raise UserError(f"{folder} lies inside {data_set}, which would be copied there: name another --root")
    with archive_entries(data_set) as entries:
        unpack(entries, folder)
    return folder


def _find_data_set(source: Path, paths: list[str]) -> str:
    """The one folder among `paths` that holds train_split.csv, "" for the top."""
    found = sorted(path.rpartition("/")[0] for path in paths if path.rpartition("/")[2] == "train_split.csv")
    if not found:
        raise UserError(
            f"{source} holds no train_split.csv: it is not in the layout of Sports10 (data/README.md)"
        )
    if len(found) > 1:
        raise UserError(f"{source} holds several data sets, unpack one of them: {', '.join(found)}")
    if f"{found[0]}/val_split.csv".lstrip("/") not in paths:
        raise UserError(f"{source} holds a train_split.csv and no val_split.csv beside it")
    return found[0]
