"""Any CSV that Python writes is read as its rows or refused with the line; any bytes are read or refused."""

from __future__ import annotations

import csv
import io
import re
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ppcds.datasets.table_file import read_table
from ppcds.errors import UserError

drawn = settings(max_examples=60, deadline=None, derandomize=True, database=None)

LETTERS = st.text(st.sampled_from("ab.é网 ,\"'\t;#/\\"), max_size=8)
NAMES = LETTERS | st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), max_size=8)
FILENAMES = NAMES.filter(lambda name: not name.strip().endswith(("/", "\\", ".")))  # as no file's does
TABLES = st.lists(st.tuples(FILENAMES, NAMES), min_size=1, max_size=6)
ENDS = st.sampled_from(["\n", "\r", "\r\n"])
DIALECTS = st.fixed_dictionaries(
    {
        "lineterminator": ENDS,
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    }
)
HEADER = ("filename", "class")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def read(folder, content):
    """(line, filename, class) of each row of a train_split.csv of these bytes."""
    (folder / "train_split.csv").write_bytes(content)
    return list(read_table(folder, "train").itertuples(name=None))


def read_or_refused(folder, content):
    """The rows, or the message of a UserError, which has to name the file in one line of modest length."""
    try:
        return read(folder, content)
    except UserError as error:
        message = str(error)
        assert "train_split.csv" in message and "\n" not in message
        assert len(message) < 600 + len(str(folder))
        return message


def written(rows, **dialect):
    text = io.StringIO(newline="")
    csv.writer(text, **dialect).writerows(rows)
    return text.getvalue()


def path_of(name):
    """A name with forward slashes, without empty parts and dots; an absolute one, which is refused later."""
    name = name.replace("\\", "/")
    return name if name.startswith("/") or not name else str(PurePosixPath(name))


def expected_rows(rows):
    """From (filename, class) as (line, filename, class), without the rows that are blank."""
    stripped = [(line, name.strip(), label.strip()) for line, (name, label) in enumerate(rows, 2)]
    kept = [row for row in stripped if row[1] or row[2]]
    return [(line, path_of(name), label) for line, name, label in kept]


@drawn
@given(rows=TABLES, dialect=DIALECTS, encoding=st.sampled_from(["utf-8", "utf-8-sig"]))
def test_what_python_writes_is_read_as_the_same_rows(folder, rows, dialect, encoding):
    found = read_or_refused(folder, written([HEADER, *rows], **dialect).encode(encoding))
    expected = expected_rows(rows)
    if not expected:
        assert found.endswith("has no rows")
        return
    assert found == expected


@drawn
@given(rows=TABLES, order=st.permutations([*HEADER, "id"]), dialect=DIALECTS)
def test_columns_are_found_by_their_names_in_any_order_among_others(folder, rows, order, dialect):
    full = [dict(zip(HEADER, row), id=str(number)) for number, row in enumerate(rows)]
    wider = [order, *([row[column] for column in order] for row in full)]
    narrow = read_or_refused(folder, written([HEADER, *rows]).encode())
    assert read_or_refused(folder, written(wider, **dialect).encode()) == narrow


@drawn
@given(rows=TABLES, blanks=st.lists(st.integers(0, 3), min_size=6, max_size=6), dialect=DIALECTS)
def test_blank_lines_only_move_the_numbers_of_the_lines(folder, rows, blanks, dialect):
    full = [(name + "x", label) for name, label in rows]
    lines, numbers = [HEADER], []
    for row, count in zip(full, blanks):
        lines += [()] * count + [row]
        numbers.append(len(lines))
    plain = read(folder, written([HEADER, *full]).encode())
    found = read(folder, written(lines, **dialect).encode())
    assert [row[0] for row in found] == numbers
    assert [row[1:] for row in found] == [row[1:] for row in plain]


@drawn
@given(rows=TABLES, broken=st.integers(0, 5), end=ENDS, inside=ENDS)
def test_a_name_of_two_lines_is_refused_with_the_line_where_it_begins(folder, rows, broken, end, inside):
    full = [(f"{name}x", label) for name, label in rows]
    broken = min(broken, len(full) - 1)
    full[broken] = (f"a{inside}b.jpg", "y")
    content = written([HEADER, *full], lineterminator=end, quoting=csv.QUOTE_ALL)
    message = read_or_refused(folder, content.encode())
    assert f"train_split.csv line {broken + 2}: a quoted name does not end on its line" in message


@drawn
@given(rows=TABLES, wide=st.integers(0, 5), more=st.integers(1, 3))
def test_a_row_with_more_fields_than_the_first_line_is_refused_with_its_line(folder, rows, wide, more):
    full = [(f"{name}x", label) for name, label in rows]
    wide = min(wide, len(full) - 1)
    full[wide] += ("z",) * more
    message = read_or_refused(folder, written([HEADER, *full]).encode())
    assert re.search(rf"train_split\.csv line {wide + 2} has (more|{2 + more}) fields", message)


@drawn
@given(rows=TABLES, encoding=st.sampled_from(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030"]))
def test_other_encodings_are_refused_in_words_and_never_read_as_other_names(folder, rows, encoding):
    text = written([HEADER, *rows])
    found = read_or_refused(folder, text.encode(encoding))
    if encoding == "gb18030" and (text.isascii() or isinstance(found, list)):
        valid_as_utf8 = text.encode(encoding).decode("utf-8")  # which bytes cannot tell
        assert found == read_or_refused(folder, valid_as_utf8.encode())
    else:
        assert "UTF-16" in found or "not in UTF-8" in found


PIECES = [b"\n", b"\r", b",", b'"', b'""', b" ", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", "网".encode()]
PIECES += [
    b"a.jpg",
    b"x",
    b"filename",
    b"class",
    b"filename,class\n",
    b"\\",
    b"/",
    b"./",
    b"\x1c",
    b";",
    b"#",
]


@settings(drawn, max_examples=250)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=25), headed=st.booleans())
@example(pieces=[b"filename,filename ,class\n", b"a.jpg,b.jpg,x\n"], headed=False)
@example(pieces=[b"filename,class,class\n", b"a.jpg,x,y\n"], headed=False)
def test_pieces_of_tables_in_any_order_are_read_or_refused(folder, pieces, headed):
    content = b"filename,class\n" * headed + b"".join(pieces)
    found = read_or_refused(folder, content)
    if isinstance(found, str):
        return
    lines = [line for line, _, _ in found]
    assert lines == sorted(set(lines)) and lines[0] >= 2
    assert lines[-1] <= len(re.split(b"\r\n|\r|\n", content))
    assert all(type(text) is str and text == text.strip() for row in found for text in row[1:])


@settings(drawn, max_examples=150)
@given(content=st.binary(max_size=200), headed=st.booleans())
def test_random_bytes_are_read_or_refused(folder, content, headed):
    read_or_refused(folder, b"filename,class\n" * headed + content)


@drawn
@given(rows=TABLES, place=st.floats(0, 1), byte=st.integers(0, 255))
def test_a_table_with_one_byte_changed_is_read_or_refused(folder, rows, place, byte):
    content = bytearray(written([HEADER, *rows]).encode())
    content[int(place * (len(content) - 1))] = byte
    read_or_refused(folder, bytes(content))
