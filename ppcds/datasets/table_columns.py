"""The columns a table has to have, and what its first line has instead."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from ppcds.datasets.images import IMAGE_SUFFIXES
from ppcds.errors import UserError

COLUMNS = ["filename", "class"]


def require_columns(path: Path, columns: pd.Index) -> None:
    """Raises UserError, with what to change where that is plain, if one of COLUMNS is not among these."""
    missing = [column for column in COLUMNS if column not in columns]
    if not missing:
        return
    named = [column for column in columns if not column.startswith("Unnamed: ")]  # so pandas calls the others
    found = ", ".join(named).replace("\n", " ")  # within quotes
    shown = found if len(found) < 100 else f"{found[:100]}..."
    raise UserError(
        f"{path.name} line 1: no column {' and '.join(missing)}; found {shown} in {path.parent}{_hint(named)}"
    )


def _hint(columns: list[str]) -> str:
    first = columns[0] if columns else ""
    if first.lower().startswith("sep="):
        also = "" if first.lower() == "sep=" else ", and separate the columns by commas"
        return f": delete this line, which is for Excel alone{also}"
    if len(columns) == 1 and re.search("[;\t]", first):
        return ": its columns are separated by semicolons or tabs, use commas"
    if set(COLUMNS) <= {column.strip().lower() for column in columns}:
        return ": write filename and class in small letters"
    if any(name.lower().endswith(IMAGE_SUFFIXES) for name in columns):
        return ": put a line filename,class before the first row"
    return ""
