"""A table as Markdown and CSV, and its picture."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from ppcds.errors import UserError
from ppcds.report.table_files import as_markdown, write_table

TABLE = pd.DataFrame({"run": ["a | b"], "accuracy": ["0.5"]})


def test_markdown_keeps_its_columns_whatever_a_label_holds():
    lines = as_markdown(TABLE).splitlines()
    assert lines == ["| run | accuracy |", "| --- | --- |", "| a \\| b | 0.5 |"]


def test_a_table_is_written_with_its_picture(tmp_path):
    write_table(tmp_path / "new", "name", "text", TABLE, Figure())
    assert (tmp_path / "new" / "name.md").read_text(encoding="utf-8") == "text\n"
    assert pd.read_csv(tmp_path / "new" / "name.csv")["run"].tolist() == ["a | b"]
    assert (tmp_path / "new" / "name.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="cannot write to .*taken"):
        write_table(tmp_path / "taken", "name", "text", TABLE, Figure())
