"""The rows of a split's CSV, checked once and reported all together."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from ppcds.errors import UserError
from ppcds.options import did_you_mean

COLUMNS = ["filename", "class"]
SHOWN = 10  # problems a message lists; the rest is counted


def class_names(root: Path) -> tuple[str, ...]:
    """The sorted class names of `root`/train_split.csv."""
    names = tuple(sorted(set(read_table(root, "train")["class"]) - {""}))
    if not names:
        raise UserError(f"{root / 'train_split.csv'} names no class in any row")
    return names


def read_split(
    root: Path, split: str, classes: tuple[str, ...], blank_allowed: bool
) -> tuple[list[str], np.ndarray]:
    """Filenames (relative to `root`, with forward slashes) and labels (int64 [N], -1 for a blank class).

    Raises UserError for a missing file or column, or with all rows whose class is unknown (or blank, unless
    `blank_allowed`) or whose image is missing or outside `root`.
    """
    table = read_table(root, split)
    ids = {name: i for i, name in enumerate(classes)}
    if blank_allowed:
        ids[""] = -1
    folders = Folders(root)
    filenames, labels, problems = [], [], []
    for line, filename, name in zip(table.index, table["filename"], table["class"]):
        filename = filename.replace("\\", "/")
        mistake = folders.mistake(filename)
        if mistake:
            problems.append(f"line {line}: {mistake}")
        if name not in ids:
            unknown = f"unknown class {name!r}{did_you_mean(name, classes)}" if name else "no class"
            problems.append(f"line {line}: {unknown}")
        filenames.append(filename)
        labels.append(ids.get(name, -1))
    if problems:
        raise UserError(_report(f"{split}_split.csv", problems))
    return filenames, np.asarray(labels, np.int64)


def read_table(root: Path, split: str) -> pd.DataFrame:
    """The CSV's columns as stripped strings; the index is the line in the file. Blank lines are left out."""
    path = root / f"{split}_split.csv"
    if not root.is_dir():
        raise UserError(f"no folder {root}: expected the one that holds {path.name}")
    if not path.is_file():
        raise UserError(f"no file {path}: expected a CSV with the columns filename,class")
    try:
        table = pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,  # a class may be called "NA"
            skip_blank_lines=False,  # lines are counted
            index_col=False,
            skipinitialspace=True,
            encoding="utf-8-sig",
        )
    except pd.errors.EmptyDataError:
        raise UserError(f"{path} is empty: expected a first line filename,class and a row an image") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(_unreadable(path, str(error))) from error
    table.columns = table.columns.str.strip()
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        found = ", ".join(table.columns)
        raise UserError(f"{path.name} line 1: no column {' and '.join(missing)}; found {found} in {root}")
    table = table[COLUMNS].apply(lambda column: column.str.strip())
    table.index += 2  # the first row is on line 2
    table = table[(table != "").any(axis=1)]
    if table.empty:
        raise UserError(f"{path} has no rows")
    return table


class Folders:
    """What lies under a root, one listing a folder: a dozen listings for 100,000 rows."""

    def __init__(self, root: Path):
        self.root = root
        self.real_root = os.path.realpath(root)
        self.listings: dict[str, tuple[set, set]] = {}

    def mistake(self, filename: str) -> str:
        """What is wrong with a row's file, or nothing."""
        if not filename:
            return "no filename"
        if filename.startswith("/") or re.match("[A-Za-z]:", filename):
            return f"{filename!r} is not relative to {self.root}"
        folder, _, name = filename.rpartition("/")
        if folder not in self.listings:
            self.listings[folder] = self._list(folder)
        files, leaving = self.listings[folder]
        if name == ".." or ".." in folder.split("/") or name in leaving:
            return f"{filename!r} leaves {self.root}"
        return "" if name in files else f"{filename!r} not found under {self.root}"

    def _list(self, folder: str) -> tuple[set, set]:
        """Names of the files in a folder, and of those that are outside the root by a link."""
        files, leaving = set(), set()
        if ".." in folder.split("/") or not os.path.isdir(self.root / folder):
            return files, leaving
        outside = not self._holds(os.path.join(os.path.realpath(self.root / folder), ""))
        with os.scandir(self.root / folder) as entries:
            for entry in entries:
                if outside or (entry.is_symlink() and not self._holds(os.path.realpath(entry.path))):
                    leaving.add(entry.name)
                elif entry.is_file():
                    files.add(entry.name)
        return files, leaving

    def _holds(self, path: str) -> bool:
        return path.startswith(os.path.join(self.real_root, ""))


def _unreadable(path: Path, reason: str) -> str:
    uneven = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", reason)
    if uneven:
        expected, line, found = uneven.groups()
        return f"{path.name} line {line} has {found} fields, not {expected}: quote a name that has a comma"
    return f"{path} is not a CSV in UTF-8: {' '.join(reason.split())}"


def _report(file: str, problems: list[str]) -> str:
    if len(problems) == 1:
        return f"{file} {problems[0]}"
    shown = "".join(f"\n  {file} {problem}" for problem in problems[:SHOWN])
    first = f", the first {SHOWN}" if len(problems) > SHOWN else ""
    return f"{len(problems)} problems in {file}{first}:{shown}"
