"""tools/embed.py as its user runs it."""

import csv
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ppcds.datasets import Sports10
from ppcds.errors import UserError

TOOL = str(Path(__file__).parents[1] / "tools" / "embed.py")


@pytest.fixture
def embed(monkeypatch, trained_run, tmp_path):
    def call(*arguments):
        weights = ["--weights", trained_run / "best_model.pdparams", "--output", tmp_path / "out"]
        monkeypatch.setattr(sys, "argv", [TOOL, *map(str, [*arguments, *weights])])
        return runpy.run_path(TOOL)["main"]()

    return call


def table(folder):
    with open(folder / "embeddings.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_split_and_its_files_have_the_same_embeddings(embed, trained_run, tmp_path, capsys):
    assert embed("--split", "val", "--neighbours", "3") == 0
    of_split, rows = np.load(tmp_path / "out" / "embeddings.npy"), table(tmp_path / "out")
    assert "20 images, 32 numbers each" in capsys.readouterr().out
    assert [row["class"] for row in rows] == [row["file"].split("/")[0] for row in rows]
    assert sorted({row["class"] for row in rows}) == sorted(Sports10.CLASSES)
    root = trained_run.parent / "Sports10"
    assert embed(*[root / row["file"] for row in rows], "--neighbours", "3") == 0
    np.testing.assert_allclose(np.load(tmp_path / "out" / "embeddings.npy"), of_split, atol=1e-5)
    again = table(tmp_path / "out")
    assert [row["class"] for row in again] == [row["class"] for row in rows]
    assert [row["neighbour1"] for row in again] == [str(root / row["neighbour1"]) for row in rows]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "embeddings.csv",
        "embeddings.npy",
        "vdl",
    ]


def test_command_line_names_and_skips_what_it_cannot_read(trained_run, tiny_sports10, tmp_path):
    folder = tiny_sports10 / "Tennis"
    (folder / "text.jpg").write_text("this is no picture", encoding="utf-8")
    (folder / "empty.png").touch()
    weights = shutil.copy(trained_run / "best_model.pdparams", tmp_path)
    shutil.copy(trained_run / "recipe.yaml", tmp_path)
    command = [sys.executable, TOOL, str(folder), "--weights", str(weights), "--stage", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for said in ("text.jpg is not an image", "empty.png is empty", "2 of 8 files could not be read"):
        assert said in done.stderr
    assert np.load(tmp_path / "embed" / "embeddings.npy").shape == (6, 8)
    assert [Path(row["file"]).name for row in table(tmp_path / "embed")] == [
        *[f"train_{i}.jpg" for i in range(4)],
        *[f"val_{i}.jpg" for i in range(2)],
    ]
    assert {row["class"] for row in table(tmp_path / "embed")} == {"Tennis"}


def test_an_unreadable_file_of_a_split_is_skipped_with_status_1(embed, tiny_sports10, tmp_path, capsys):
    (tiny_sports10 / "Tennis/val_0.jpg").write_bytes(b"")
    assert embed("--split", "val", "-o", f"data.root={tiny_sports10}") == 1
    assert "Tennis/val_0.jpg is empty" in capsys.readouterr().err
    assert len(np.load(tmp_path / "out" / "embeddings.npy")) == len(table(tmp_path / "out")) == 19


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--split", "vall"], "vall_split.csv"),
        (["--split", "val", "-o", "model.width=8"], "best_model.pdparams: weights of another network"),
        (["--split", "val", "--head-layer", "1"], "head layer 1: only an encoder has one"),
        (["/nowhere.png"], "none of the 1 images can be read"),
    ],
)
def test_a_mistake_is_told_in_words_and_writes_nothing(embed, tmp_path, arguments, said):
    with pytest.raises(UserError, match=said):
        embed(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_other_files_is_not_replaced(embed, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").touch()
    with pytest.raises(UserError, match="out holds other files"):
        embed("--split", "val")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_help_and_mistakes_in_arguments_do_not_load_paddle(tmp_path):
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print('loaded', sorted({'paddle', 'numpy'} & set(sys.modules)))"
    )
    weights = ["--weights", str(tmp_path / "w.pdparams")]
    for arguments, said in (
        (["--help"], "usage"),
        (weights, "name images or folders, or a --split"),
        (["a.png", "--split", "val", *weights], "name images or folders, or a --split"),
        (["a.png", "--neighbours", "-1", *weights], "argument --neighbours: 0 is the least"),
        (["a.png", "--stage", "5", *weights], "argument --stage: invalid choice: 5"),
        (["a.png", *weights], "w.pdparams: no such file"),
    ):
        done = subprocess.run([sys.executable, "-c", code, TOOL, *arguments], capture_output=True, text=True)
        assert said in done.stdout + done.stderr
        assert done.stdout.splitlines()[-1] == "loaded []"
