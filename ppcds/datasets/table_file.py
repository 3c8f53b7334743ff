"""A split's CSV as columns of text: what the file itself can have wrong, said with its line."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from ppcds.datasets.table_columns import COLUMNS, require_columns
from ppcds.errors import UserError

GROUP = "group"  # a column that may be there as well: what a split should not part
MAX_BYTES = 1 << 30  # 20 million rows
LONGEST_LINE = 1 << 16  # bytes
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF16 = (b"\xff\xfe", b"\xfe\xff")  # UTF-32 begins so too
OPTIONS = {
    "dtype": str,
    "keep_default_na": False,  # a class may be called "NA"
    "skip_blank_lines": False,  # lines are counted
    "index_col": False,
    "skipinitialspace": True,
}
COMMAS = "quote a name that has a comma, and end no row with one"
AS_UTF8 = "save it in UTF-8 (Excel: CSV UTF-8)"


def read_table(root: Path, split: str) -> pd.DataFrame:
    """filename (with forward slashes, without ./), class, and group if it is there; the index is the line.

    Blank lines are left out; lines may end as on any system.
    Raises UserError with the line for what is no CSV in UTF-8 with these columns, or has no rows.
    """
    path = root / f"{split}_split.csv"
    if not root.is_dir():
        raise UserError(f"no folder {root}: expected the one that holds {path.name}")
    if not path.is_file():
        raise UserError(f"no file {path}: expected a CSV with the columns filename,class")
    data = _read_text(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of fields that it would drop
            table = pd.read_csv(io.BytesIO(data), **OPTIONS)
    except pd.errors.ParserWarning:
        require_columns(path, pd.read_csv(io.BytesIO(data), nrows=0, **OPTIONS).columns)
        raise UserError(f"{path} line 2 has more fields than line 1: {COMMAS}") from None
    except pd.errors.EmptyDataError:
        raise UserError(f"{path} is empty: expected a first line filename,class and a row an image") from None
    except pd.errors.ParserError as error:
        raise UserError(f"{path} line {_in_words(str(error))}") from error
    table.columns = table.columns.str.strip()
    require_columns(path, table.columns)
    first_line = pd.read_csv(io.BytesIO(data), header=None, nrows=1, **OPTIONS).iloc[0].str.strip()
    for column in COLUMNS:  # of two columns alike pandas has renamed one
        if (first_line == column).sum() > 1:
            raise UserError(f"{path} line 1 has two columns {column}: leave one of them out")
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    if len(table) + 1 != lines:
        raise UserError(f"{path} line {_first_long_row(table)}: a quoted name does not end on its line")
    table = table[[column for column in (*COLUMNS, GROUP) if column in table.columns]]
    if not data.isascii() or re.search(rb"[ \t\f\v\x1c-\x1f]", data):
        table = table.apply(lambda column: column.str.strip())
    table.index += 2  # the first row is on line 2
    blank = (table["filename"] == "") & (table["class"] == "")
    if blank.any():
        table = table[~blank]
    if table.empty:
        raise UserError(f"{path} has no rows")
    if any(odd in data for odd in (b"\\", b"./", b"//")):
        table["filename"] = [_with_forward_slashes(filename) for filename in table["filename"]]
    return table


def _read_text(path: Path) -> bytes:
    """The file without a byte-order mark, in UTF-8, its lines ended by a line feed."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UserError(f"{path} has {size / 1e9:.1f} GB: tables of up to 1 GB are read")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if data.startswith(UTF16):
        raise UserError(f"{path} is in UTF-16 (what Excel calls Unicode text): {AS_UTF8}")
    if data.startswith(BYTE_ORDER_MARK):
        data = data[len(BYTE_ORDER_MARK) :]
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\0" in data:
        line, byte = _place(data, data.index(b"\0"))
        raise UserError(f"{path} line {line}: byte {byte} is zero: it is UTF-16 or no text, {AS_UTF8}")
    if not data.isascii():
        _require_utf8(path, data)
    ends = np.flatnonzero(np.frombuffer(data + b"\n", np.uint8) == ord("\n"))
    lengths = np.diff(ends, prepend=-1) - 1
    if lengths.max() > LONGEST_LINE:
        line = int(lengths.argmax())
        raise UserError(f"{path} line {line + 1} has {lengths[line]} bytes: a row names a file and its class")
    return data


def _require_utf8(path: Path, data: bytes) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, byte = _place(data, error.start)
        raise UserError(
            f"{path} line {line} is not in UTF-8 (byte {byte} of it is {data[error.start]:#04x}): {AS_UTF8}; "
            f"if it was written on a Chinese Windows, iconv -f GBK -t UTF-8 {path.name} > new.csv does it"
        ) from None


def _place(data: bytes, position: int) -> tuple[int, int]:
    """The line and the byte in it, both from 1."""
    return data.count(b"\n", 0, position) + 1, position - data.rfind(b"\n", 0, position)


def _first_long_row(table: pd.DataFrame) -> int:
    for row, values in enumerate(table.itertuples(index=False)):
        if any("\n" in value for value in values):
            return row + 2
    return len(table) + 2


def _in_words(reason: str) -> str:
    """What pandas says of a line."""
    uneven = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", reason)
    if uneven:
        expected, line, found = uneven.groups()
        return f"{line} has {found} fields, not {expected}: {COMMAS}"
    unclosed = re.search(r"EOF inside string starting at row (\d+)", reason)
    if unclosed:
        return f"{int(unclosed[1]) + 1}: a quote is not closed"
    return f"1 or later is not a CSV: {' '.join(reason.split())}"


def _with_forward_slashes(filename: str) -> str:
    filename = filename.replace("\\", "/")
    if filename.startswith("/"):  # is refused as it is
        return filename
    return "/".join(part for part in filename.split("/") if part not in ("", ".")).strip()
