"""From an archive or a folder to data/d/<name>, where the recipes look for it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ppcds.datasets import stl10
from ppcds.datasets.archive import Entry, archive_entries
from ppcds.datasets.cifar import convert_cifar10
from ppcds.datasets.unpack import unpack
from ppcds.errors import UserError

CIFAR10_FOLDER = "cifar-10-batches-py"
STL10_NAME = "STL10"
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".rar", ".7z")
DEFAULT_NAME = "Sports10"  # where the archive has its files at the top, in no folder


def place(source: Path, root: Path, name: str | None = None) -> Path:
    """Unpack or copy the data set in `source` to `root`/<name> and return that folder.

    The data set is what lies beside train_split.csv, at whatever depth; its own folder's name is kept
    unless another is given. A folder that is in place is left as it is. CIFAR-10's official archive is
    converted; of STL-10's, the files that are read go into `root`/STL10. Raises UserError before anything
    is written if the source is refused.
    """
    if name is not None and (name in ("", ".", "..") or set(name) & set("/\\:")):
        raise UserError(f"--name {name!r}: give the name of one folder, for instance {DEFAULT_NAME}")
    if source.is_dir():
        return _place_folder(source, root, name)
    with archive_entries(source) as entries:
        paths = [entry.path for entry in entries]
        if any(CIFAR10_FOLDER in path.split("/")[:-1] for path in paths):
            return convert_cifar10(source, root)
        if any(path.endswith(f"{stl10.FOLDER}/train_X.bin") for path in paths):
            folder = root / (name or STL10_NAME)
            unpack(_stl10_files(entries), folder)
            return folder
        inner = _find_data_set(source, paths)
        folder = root / (name or inner.rpartition("/")[2] or DEFAULT_NAME)
        below = f"{inner}/" if inner else ""
        wanted = [
            replace(entry, path=entry.path[len(below) :]) for entry in entries if entry.path.startswith(below)
        ]
        unpack(_without_packed(wanted), folder)
    return folder


def _place_folder(source: Path, root: Path, name: str | None) -> Path:
    if source.resolve().name == CIFAR10_FOLDER or (source / CIFAR10_FOLDER).is_dir():
        return convert_cifar10(source, root)
    binary = stl10.find_folder(source)
    if binary:
        data_set, folder = binary, root / (name or STL10_NAME)
    else:
        paths = [file.relative_to(source).as_posix() for file in source.rglob("*_split.csv")]
        data_set = source / _find_data_set(source, paths)
        folder = root / (name or data_set.resolve().name)
    here, there = os.path.realpath(data_set), os.path.realpath(folder)
    if here == there or (binary and here == os.path.join(there, stl10.FOLDER)):
        return folder
    if there.startswith(here + os.sep):
        raise UserError(f"{folder} lies inside {data_set}, which would be copied there: name another --root")
    with archive_entries(data_set) as entries:
        unpack(_stl10_files(entries) if binary else _without_packed(entries), folder)
    return folder


def _without_packed(entries: list[Entry]) -> list[Entry]:
    """Without packed images, which were made of other files."""
    return [entry for entry in entries if not entry.path.startswith("packed/")]


def _stl10_files(entries: list[Entry]) -> list[Entry]:
    """The files of STL-10 that are read, without the folder they are in."""
    found = []
    for entry in entries:
        folder, _, name = entry.path.rpartition("/")
        if name in stl10.FILES and folder.rpartition("/")[2] in ("", stl10.FOLDER):
            found.append(replace(entry, path=name))
    return found


def _find_data_set(source: Path, paths: list[str]) -> str:
    """The one folder among `paths` that holds train_split.csv, "" for the top."""
    found = sorted(path.rpartition("/")[0] for path in paths if path.rpartition("/")[2] == "train_split.csv")
    if not found:
        inner = next((path for path in paths if path.lower().endswith(ARCHIVES)), None)
        hint = f"; it holds the archive {inner}: unpack {source} and give that" if inner else ""
        raise UserError(
            f"{source} holds no train_split.csv: it is not in the layout of Sports10 (data/README.md){hint}"
        )
    if len(found) > 1:
        raise UserError(f"{source} holds several data sets, unpack one of them: {', '.join(found)}")
    if f"{found[0]}/val_split.csv".lstrip("/") not in paths:
        raise UserError(f"{source} holds a train_split.csv and no val_split.csv beside it")
    return found[0]
