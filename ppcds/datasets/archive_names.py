"""Names in archives: which are paths below the folder they are unpacked into."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from ppcds.errors import UserError

LONGEST_PART, LONGEST = 255, 1024  # bytes: what file systems take, and some room for the root
UNFINISHED = ".prepare_data.part"  # the file being written, under the target
UTF8 = 0x800  # the flag of a name in a zip
NOT_UTF8 = (
    "is not in UTF-8: unpack it yourself, for instance with unzip -O GBK, and give the folder; or pack it "
    "again with names in UTF-8 (7-Zip: -mcu=on)"
)


def name_in_zip(source: Path, info: zipfile.ZipInfo) -> str:
    """The name of an entry. Many packers write UTF-8 without saying so, and Chinese Windows writes GBK."""
    if "\0" in info.orig_filename:  # where zipfile cuts it
        raise UserError(f"{source} refused: its entry {info.orig_filename!r} has a zero byte in its name")
    if info.flag_bits & UTF8 or info.filename.isascii():
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        raise UserError(f"{source} refused: the name of its entry {info.filename!r} {NOT_UTF8}") from None


def checked_path(source: Path, name: str) -> str:
    """The relative path of an entry, with forward slashes, without empty parts. Raises UserError if none."""
    path = name.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    drive = any(re.match("[A-Za-z]:", part) for part in parts)
    if path.startswith("/") or drive or ".." in parts or any(ord(letter) < 32 for letter in path):
        raise UserError(f"{source} refused: its entry {name!r} leaves the folder it would be unpacked into")
    try:
        lengths = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:  # bytes that are none
        raise UserError(f"{source} refused: the name of its entry {name!r} {NOT_UTF8}") from None
    if max(lengths, default=0) > LONGEST_PART or sum(lengths) + len(parts) > LONGEST:
        raise UserError(f"{source} refused: the name of its entry {name[:60]!r}... is too long for a file")
    if UNFINISHED in parts:
        raise UserError(f"{source} refused: {name!r} is a name that unpacking uses itself")
    return "/".join(parts)
