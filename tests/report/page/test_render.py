"""The page as a file: text stays text, data that charts share are there once, and it is whole or absent."""

import json
import re

import pytest

from ppcds.errors import UserError
from ppcds.report.page.charts import Chart
from ppcds.report.page.render import Page, chart_library, percent, plain_number, write_page

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def test_data_that_charts_share_are_on_the_page_once_and_cannot_end_its_script():
    page, rows = Page(), [{"class": HOSTILE, "n": 1}]
    names = [page.place(Chart("t", {"mark": "bar", "datasets": {"data-1": rows}})) for _ in range(2)]
    text = page.as_json()
    assert text.count("alert(1)") == 1 and not re.search("[<>&]", text)
    drawn = json.loads(text)
    assert names == ["chart0", "chart1"] and drawn["datasets"] == {"data-1": rows}
    assert drawn["specs"]["chart1"] == {"mark": "bar", "datasets": ["data-1"]}


def test_the_library_is_the_one_that_the_charts_are_written_for():
    import altair

    library = chart_library()
    assert "vegaEmbed" in library and "</script" not in library
    assert altair.SCHEMA_VERSION.lstrip("v").rsplit(".", 1)[0] + "." in library


def test_a_page_that_cannot_be_written_leaves_the_one_that_is_there(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    assert write_page(path, "ü\udcff") == 8  # a file name that is not in UTF-8 becomes \udcff
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match="report.html: No space left"):
        write_page(path, "new")
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_numbers_are_written_with_their_unit():
    assert percent(0.75334) == "75.33 %" and percent(float("nan")) == "not measured"
    assert plain_number(0.0123456) == "0.0123" and plain_number(1e-40) == "below 1e-12"
