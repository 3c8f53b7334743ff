"""The rows of a split's CSV, checked once and reported all together."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from ppcds.datasets.repeated_rows import SHOWN, contradicting, lines_in_words, said_of_two, shown
from ppcds.datasets.table_file import read_table
from ppcds.errors import UserError
from ppcds.options import did_you_mean


def class_names(root: Path, split: str = "train") -> tuple[str, ...]:
    """The sorted class names of `root`/<split>_split.csv."""
    names = tuple(sorted(set(read_table(root, split)["class"].unique()) - {""}))
    if not names:
        raise UserError(f"{root / split}_split.csv names no class in any row")
    return names


def read_split(
    root: Path, split: str, classes: tuple[str, ...], blank_allowed: bool
) -> tuple[list[str], np.ndarray]:
    """Filenames (relative to `root`, with forward slashes) and labels (int64 [N], -1 for a blank class).

    Warns of files that several rows name. Raises UserError for a missing file or column, or with all rows
    whose class is unknown (or blank, unless `blank_allowed`) or another one than an earlier row has for the
    same file, or whose image is missing or outside `root`.
    """
    table = read_table(root, split)
    names = table["class"]
    numbers = pd.Index([*classes, *([""] if blank_allowed else [])]).get_indexer(names)
    labels = np.where(numbers == len(classes), -1, numbers).astype(np.int64)
    filenames = table["filename"].tolist()
    folders = Folders(root)
    named = set(filenames)
    repeated = table.iloc[:0] if len(named) == len(filenames) else table
    missing = folders.missing(named)
    in_two = contradicting(repeated)
    faults = [table["filename"].isin(missing).to_numpy(), numbers < 0, table.index.isin(in_two.index)]
    problems: list[str] = []
    for row in np.flatnonzero(np.any(faults, axis=0))[:SHOWN]:  # each has a problem at least
        name, line = names.iloc[row], table.index[row]
        is_missing, is_unknown, is_in_two = (fault[row] for fault in faults)
        if is_missing:
            problems.append(f"line {line}: {folders.mistake(filenames[row])}")
        if is_unknown:
            unknown = f"unknown class {shown(name)}{did_you_mean(name, classes)}" if name else "no class"
            problems.append(f"line {line}: {unknown}")
        if is_in_two:
            problems.append(f"line {line}: {said_of_two(*in_two.loc[line])}")
    if problems:
        raise UserError(_report(f"{split}_split.csv", problems, int(np.sum(faults))))
    again = repeated["filename"][repeated["filename"].duplicated(keep=False)]
    if len(again):
        lines = lines_in_words(again.index[again == again.iloc[0]])
        warnings.warn(
            f"{split}_split.csv names {again.nunique()} files in several rows, each of which counts; the "
            f"first is {shown(again.iloc[0])} on {lines}",
            stacklevel=2,
        )
    return filenames, labels


class Folders:
    """What lies under a root, one listing a folder: a dozen listings for 100,000 rows."""

    def __init__(self, root: Path):
        self.root = root
        self.real_root = os.path.realpath(root)

    def missing(self, missing: set[str]) -> set[str]:
        """Those filenames that are no file under the root, or one outside it by a link. Uses up the set."""
        for folder in {filename.rpartition("/")[0] for filename in missing}:
            if not _leaves(folder) and os.path.isdir(self.root / folder):
                self._cross_out(folder, missing)
        return missing

    def mistake(self, filename: str) -> str:
        """What is wrong with a file that is missing."""
        if not filename:
            return "no filename"
        if filename.startswith("/") or re.match("[A-Za-z]:", filename):
            return f"{shown(filename)} is not relative to {self.root}"
        if _leaves(filename):
            return f"{shown(filename)} leaves {self.root}"
        path = self.root / filename
        if os.path.exists(path) and not self._holds(os.path.realpath(path)):
            return f"{shown(filename)} leaves {self.root}"
        hint = " (no line is a comment)" if filename.startswith("#") else ""
        return f"{shown(filename)} not found under {self.root}{hint}"

    def _cross_out(self, folder: str, missing: set[str]) -> None:
        if not self._holds(os.path.join(os.path.realpath(self.root / folder), "")):
            return
        below = f"{folder}/" if folder else ""
        with os.scandir(self.root / folder) as entries:
            for entry in entries:
                if entry.is_symlink() and not self._holds(os.path.realpath(entry.path)):
                    continue
                if entry.is_file():
                    missing.discard(below + entry.name)

    def _holds(self, path: str) -> bool:
        return path.startswith(os.path.join(self.real_root, ""))


def _leaves(path: str) -> bool:
    return path.startswith("/") or ".." in path.split("/") or bool(re.match("[A-Za-z]:", path))


def _report(file: str, problems: list[str], count: int) -> str:
    """problems: the first of them at least."""
    if count == 1:
        return f"{file} {problems[0]}"
    shown = "".join(f"\n  {file} {problem}" for problem in problems[:SHOWN])
    first = f", the first {SHOWN}" if count > SHOWN else ""
    return f"{count} problems in {file}{first}:{shown}"
