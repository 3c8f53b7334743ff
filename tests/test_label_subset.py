"""tools/label_subset.py as its user runs it."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ppcds.config import load_recipe
from ppcds.datasets.build import build_train_split
from ppcds.errors import UserError

TOOL = str(Path(__file__).parents[1] / "tools" / "label_subset.py")


@pytest.fixture
def label_subset(monkeypatch, tiny_sports10):
    """The tool's main on the tiny data set with the given arguments; returns its status."""

    def call(*arguments):
        data = ["-c", "demo", "-o", "data.layout=csv", "-o", f"data.root={tiny_sports10}"]
        monkeypatch.setattr(sys, "argv", [TOOL, *data, *map(str, arguments)])
        return runpy.run_path(TOOL)["main"]()

    return call


def test_the_written_csv_gives_the_labels_that_the_recipe_gives(
    label_subset, tiny_sports10, tmp_path, capsys
):
    written = tmp_path / "train_10.csv"
    assert label_subset("-o", "data.label_fraction=0.25", "--output", written) == 0
    assert capsys.readouterr().out == f"{written}: 40 images, 10 with a label, 30 without\n"
    table = pd.read_csv(written, keep_default_na=False)
    whole = pd.read_csv(tiny_sports10 / "train_split.csv")
    assert table["filename"].tolist() == whole["filename"].tolist()
    labelled = table["class"] != ""
    assert (table["class"] == whole["class"])[labelled].all()
    assert table["class"][labelled].value_counts().tolist() == [1] * 10

    data = ["data.layout=csv", f"data.root={tiny_sports10}"]
    by_recipe = build_train_split(load_recipe("demo", [*data, "data.label_fraction=0.25"]), 1)
    (tiny_sports10 / "train_split.csv").write_bytes(written.read_bytes())
    by_table = build_train_split(load_recipe("demo", data), 1)
    np.testing.assert_array_equal(by_table.labels, by_recipe.labels)
    assert by_table.classes == by_recipe.classes


def test_images_that_are_not_trained_on_are_left_out(label_subset, tmp_path):
    written = tmp_path / "new" / "train.csv"
    keys = ["data.train_images=30", "data.hold_back=0.34", "data.label_fraction=0.5"]
    assert label_subset(*(part for key in keys for part in ("-o", key)), "--output", written) == 0
    table = pd.read_csv(written, keep_default_na=False)
    assert len(table) == 20 and (table["class"] != "").sum() == 10


def test_a_file_is_replaced_only_if_told_to(label_subset, tmp_path):
    written = tmp_path / "train.csv"
    written.write_text("mine")
    with pytest.raises(UserError, match="train.csv is there already: .*--force"):
        label_subset("--output", written)
    assert written.read_text() == "mine"
    assert label_subset("--output", written, "--force") == 0
    assert written.read_text().startswith("filename,class\n")
    assert list(tmp_path.glob(".*")) == []


def test_a_layout_without_image_files_is_refused(label_subset, tmp_path):
    for part in ("train", "test"):
        (tmp_path / f"{part}_X.bin").write_bytes(bytes(27648))
        (tmp_path / f"{part}_y.bin").write_bytes(b"\1")
    with pytest.raises(UserError, match="data.layout stl10 has no image files"):
        label_subset("-o", "data.layout=stl10", "-o", f"data.root={tmp_path}", "--output", tmp_path / "a.csv")


def test_a_mistake_is_one_line_and_status_1(tmp_path):
    command = [sys.executable, TOOL, "-c", "none.yaml", "--output", str(tmp_path / "a.csv")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (1, "error: no recipe file none.yaml\n")
