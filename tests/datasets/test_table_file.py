"""CSV files as people save them: read, or refused with the line and what to do."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from ppcds.datasets import table_file
from ppcds.datasets.table_file import read_table
from ppcds.errors import UserError


@pytest.fixture
def table(tmp_path):
    """table(content): the rows of a train_split.csv of these bytes, as (line, filename, class)."""

    def read(content):
        (tmp_path / "train_split.csv").write_bytes(content)
        found = read_table(tmp_path, "train")
        return list(found.itertuples(name=None))

    return read


@pytest.fixture
def refusal(table, tmp_path):
    """refusal(content): the message; one line, not longer than a screen, that names the file."""

    def message(content):
        with pytest.raises(UserError) as caught:
            table(content)
        said = str(caught.value)
        assert "train_split.csv" in said and "\n" not in said and len(said) < 600 + len(str(tmp_path))
        return said

    return message


ROWS = [(2, "a.jpg", "x"), (3, "b.jpg", "y")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lines_end_as_on_any_system_and_a_byte_order_mark_is_no_name(end, mark, table):
    text = end.join(["filename,class", "a.jpg,x", "b.jpg,y", ""])
    assert table((mark + text).encode()) == ROWS
    assert table((mark + text).removesuffix(end).encode()) == ROWS


def test_blank_lines_are_counted_and_left_out(table):
    assert table(b"filename,class\n\na.jpg,x\n , \nb.jpg,y\n\n\n") == [(3, "a.jpg", "x"), (5, "b.jpg", "y")]
    assert table(b"filename,class\r\n\r\na.jpg,x\r\n") == [(3, "a.jpg", "x")]


def test_quotes_and_spaces_around_names_are_none_of_theirs(table):
    text = '"filename" , "class"\n"a, b.jpg", x \n\tb.jpg ,"y"\n"say ""c"".jpg",NA\n'
    assert table(text.encode()) == [(2, "a, b.jpg", "x"), (3, "b.jpg", "y"), (4, 'say "c".jpg', "NA")]


def test_windows_separators_and_empty_parts_of_a_path_are_made_alike(table):
    rows = ["a\\b.jpg,x", "./a//c.jpg,x", "a/./d.jpg,x", "../e.jpg,x", "/f.jpg,x"]
    names = [name for _, name, _ in table("\n".join(["filename,class", *rows]).encode())]
    assert names == ["a/b.jpg", "a/c.jpg", "a/d.jpg", "../e.jpg", "/f.jpg"]


def test_an_empty_column_at_the_end_does_no_harm(table):
    assert table(b"filename,class,\na.jpg,x,\nb.jpg,y\n") == ROWS


def test_a_row_without_a_class_has_an_empty_one(table):
    assert table(b"filename,class\na.jpg\nb.jpg,\n") == [(2, "a.jpg", ""), (3, "b.jpg", "")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("filename,class\n网球/a.jpg,x\n".encode("gbk"), "line 2 is not in UTF-8 (byte 1 of it is 0xcd)"),
        ("filename,class\na.jpg,x\nété.jpg,x\n".encode("latin-1"), "line 3 is not in UTF-8 (byte 1 of it"),
        ("filename,class\nb/été.jpg,x\n".encode("latin-1"), "(byte 3 of it is 0xe9)"),
        ("filename,class\na.jpg,x\n".encode("utf-16"), "is in UTF-16 (what Excel calls Unicode text)"),
        (b"\xfe\xff" + "filename,class\n".encode("utf-16-be"), "is in UTF-16"),
        ("filename,class\na.jpg,x\n".encode("utf-16-le"), "line 1: byte 2 is zero: it is UTF-16 or no text"),
        (b"filename,class\na.jpg,x\nb\0.jpg,y\n", "line 3: byte 2 is zero"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\r", "line 3: byte 1 is zero"),
        (b"filename;class\na.jpg;x\n", "line 1: no column filename and class; found filename;class in "),
        (b"filename;class\na.jpg;x\n", "separated by semicolons or tabs, use commas"),
        (b"filename\tclass\na.jpg\tx\n", "separated by semicolons or tabs, use commas"),
        (b"a.jpg,x\nb.jpg,y\n", "found a.jpg, x in"),
        (b"a.jpg,x\nb.jpg,y\n", "put a line filename,class before the first row"),
        (b"sep=,\nfilename,class\na.jpg,x\n", "found sep= in "),
        (b"sep=,\r\nfilename,class\r\na.jpg,x\r\n", ": delete this line, which is for Excel alone"),
        (b"sep=;\nfilename;class\na.jpg;x\n", "for Excel alone, and separate the columns by commas"),
        (b"Filename,Class\na.jpg,x\n", ": write filename and class in small letters"),
        (b"FILENAME,class\na.jpg,x\n", ": write filename and class in small letters"),
        (b"filename,class\na.jpg,x\nb.jpg,y,\n", "line 3 has 3 fields, not 2: quote a name that has a comma"),
        (b"# made by hand\nfilename,class\na.jpg,x\n", "no column filename and class; found # made by hand"),
        (b'filename,class\na.jpg,x\n"b.jpg,y\nc.jpg,z\n', "line 3: a quote is not closed"),
        (b'filename,class\n"a.jpg,x\nb.jpg",y\nc.jpg,z\n', "line 2: a quoted name does not end on its line"),
        (b"filename,class\na.jpg,x\nb.jpg,y,z\n", "line 3 has 3 fields, not 2"),
        (b"filename,class\na,b.jpg,x\nb.jpg,y\n", "line 2 has more fields than line 1"),
        (b"filename,class\na.jpg,x\n" + b"b" * 70_000 + b",y\n", "line 3 has 70002 bytes"),
        (b"x" * 10_000_000, "line 1 has 10000000 bytes"),
        (b"a" * 5_000 + b",x\n", "found " + "a" * 100 + "... in"),
        (b"\r\r\r", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"filename,class\r\r", "has no rows"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(content, message, refusal):
    assert message in refusal(content)


def test_what_is_not_in_utf8_is_told_how_to_become_so(refusal):
    said = refusal("filename,class\n网球.jpg,x\n".encode("gbk"))
    assert "save it in UTF-8 (Excel: CSV UTF-8)" in said
    assert "iconv -f GBK -t UTF-8 train_split.csv > new.csv" in said


def test_a_table_that_is_too_large_or_may_not_be_read_is_refused(refusal, tmp_path, monkeypatch):
    monkeypatch.setattr(table_file, "MAX_BYTES", 20)
    assert "tables of up to 1 GB are read" in refusal(b"filename,class\na.jpg,x\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_table_one_may_not_read_is_named(refusal, tmp_path):
    (tmp_path / "train_split.csv").touch(0o000)
    with pytest.raises(UserError, match="cannot read .*train_split.csv: Permission denied"):
        read_table(tmp_path, "train")


MILLION = """
import os, resource, sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from ppcds.datasets import split_table

root = Path(sys.argv[1])
CLASSES = [f"class_{c}" for c in range(10)]
def listing(folder):  # instead of a million files
    c = int(folder.name[-1])
    names = (f"image_{i:07d}.jpg" for i in range(c, 1_000_000, 10))
    return nullcontext(SimpleNamespace(name=name, is_symlink=bool, is_file=lambda: True) for name in names)
split_table.os.scandir = listing
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
cpu = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_utime
before, begun = peak(), cpu()
filenames, labels = split_table.read_split(root, "train", CLASSES, True)
assert len(filenames) == 1_000_000 and labels.tolist()[:11] == [*range(10), 0]
print(round(cpu() - begun, 1), peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
def test_a_million_rows_take_seconds_and_two_hundred_megabytes(tmp_path):
    numbers = pd.Series(range(1_000_000))
    names = "class_" + (numbers % 10).astype(str)
    filenames = names + "/image_" + numbers.astype(str).str.zfill(7) + ".jpg"
    pd.DataFrame({"filename": filenames, "class": names}).to_csv(tmp_path / "train_split.csv", index=False)
    for name in names.unique():
        (tmp_path / name).mkdir()
    done = subprocess.run([sys.executable, "-c", MILLION, tmp_path], capture_output=True, text=True)
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < 20 and megabytes < 300, done.stderr
