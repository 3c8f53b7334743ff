"""Files that several rows of a table name, and what these rows say of them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import pandas as pd

SHOWN = 10  # of the problems or lines that a message lists; the rest is counted


def repeated_rows(table: pd.DataFrame) -> dict[str, str]:
    """{filename: "lines 3, 9"} of the files that several rows name."""
    again = table["filename"][table["filename"].duplicated(keep=False)]
    lines: dict[str, list[int]] = {}
    for line, filename in again.items():
        lines.setdefault(filename, []).append(line)
    return {filename: lines_in_words(found) for filename, found in lines.items()}


def lines_in_words(lines: Iterable[int]) -> str:
    """The first of at least two lines."""
    first = list(islice(lines, SHOWN + 1))
    return f"lines {', '.join(map(str, first[:SHOWN]))}{', ...' if len(first) > SHOWN else ''}"


def contradicting(table: pd.DataFrame) -> pd.DataFrame:
    """The rows whose class is not that of an earlier row of the file, by their lines.

    Columns: filename, class, and first_class and first_line of that earlier row. A row without a class
    contradicts none.
    """
    labelled = table[table["class"] != ""]
    again = labelled[labelled["filename"].duplicated(keep=False)].rename_axis("line").reset_index()
    first = again.drop_duplicates("filename").rename(columns={"class": "first_class", "line": "first_line"})
    both = again.merge(first, on="filename", how="left")
    columns = ["filename", "class", "first_class", "first_line"]
    return both[both["class"] != both["first_class"]].set_index("line")[columns]


def contradictions(table: pd.DataFrame) -> dict[str, dict[int, str]]:
    """{filename: {line: what is wrong}} of the contradicting rows."""
    found: dict[str, dict[int, str]] = {}
    for line, *row in contradicting(table).itertuples(name=None):
        found.setdefault(row[0], {})[line] = said_of_two(*row)
    return found


def said_of_two(filename: str, name: str, first_class: str, first_line: int) -> str:
    """What is wrong with one of the contradicting rows."""
    return f"{shown(filename)} is class {shown(name)} here, and {shown(first_class)} on line {first_line}"


def shown(name: str) -> str:
    """A name in a message."""
    return repr(name) if len(name) <= 200 else f"{name[:200]!r}..."
