"""Tables of which hundreds of thousands of rows are wrong, and what is said of them."""

import subprocess
import sys

import pandas as pd
import pytest

from ppcds.datasets.repeated_rows import contradicting, contradictions, repeated_rows

WRONG = """
import resource, sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from ppcds.datasets import split_table
from ppcds.errors import UserError

def listing(folder):
    names = (f"a{i}.jpg" for i in range(100_000 if sys.argv[2] == "there" else 0))
    return nullcontext(SimpleNamespace(name=name, is_symlink=bool, is_file=lambda: True) for name in names)
split_table.os.scandir = listing
used = lambda: resource.getrusage(resource.RUSAGE_SELF)
before = used()
try: split_table.read_split(Path(sys.argv[1]), "train", ("x", "y"), True)
except UserError as error: print(str(error).splitlines()[0])
print(used().ru_utime - before.ru_utime, (used().ru_maxrss - before.ru_maxrss) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
@pytest.mark.parametrize(
    ("files", "row", "count"),
    [
        ("absent", "a{0}.jpg,x", 200_000),
        ("there", "a{1}.jpg,class_{0}", 300_000),  # each class unknown, and two of each file
        ("there", "a{1}.jpg,{2}", 100_000),  # two classes of each file
    ],
)
def test_two_hundred_thousand_wrong_rows_are_counted_and_ten_said(files, row, count, tmp_path):
    rows = (row.format(i, i // 2, "xy"[i % 2]) for i in range(200_000))
    (tmp_path / "train_split.csv").write_text("\n".join(["filename,class", *rows, ""]))
    command = [sys.executable, "-c", WRONG, str(tmp_path), files]
    done = subprocess.run(command, capture_output=True, text=True)
    said, used = done.stdout.splitlines()
    seconds, megabytes = map(float, used.split())
    assert said == f"{count} problems in train_split.csv, the first 10:", done.stderr
    assert seconds < 6 and megabytes < 80


def table(*rows):
    return pd.DataFrame(rows, columns=["filename", "class"], index=range(2, 2 + len(rows)))


def test_a_row_contradicts_the_first_row_of_its_file_that_has_a_class():
    rows = table(("a", ""), ("b", "x"), ("a", "y"), ("a", "x"), ("b", ""), ("b", "x"), ("a", "z"))
    assert contradicting(rows).to_dict("index") == {
        5: {"filename": "a", "class": "x", "first_class": "y", "first_line": 4},
        8: {"filename": "a", "class": "z", "first_class": "y", "first_line": 4},
    }
    assert contradictions(rows) == {
        "a": {5: "'a' is class 'x' here, and 'y' on line 4", 8: "'a' is class 'z' here, and 'y' on line 4"}
    }
    assert not len(contradicting(rows.iloc[:2])) and contradictions(rows.iloc[:0]) == {}


def test_of_many_lines_of_a_file_ten_are_named():
    rows = table(*[("a", "x")] * 12, ("b", "x"), ("c", "x"), ("c", "x"))
    assert repeated_rows(rows) == {"a": "lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...", "c": "lines 15, 16"}
