"""tools/split_data.py as its user runs it."""

import runpy
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from ppcds.config import load_recipe
from ppcds.datasets.build import build_eval_split, build_train_split
from ppcds.errors import UserError

TOOLS = Path(__file__).parents[1] / "tools"


@pytest.fixture
def call(monkeypatch):
    def run(*arguments, tool="split_data"):
        monkeypatch.setattr(sys, "argv", [str(TOOLS / f"{tool}.py"), *map(str, arguments)])
        return runpy.run_path(sys.argv[0])["main"]()

    return run


@pytest.fixture
def games(tiny_sports10):
    """The tiny data set under other names: of each class three games of two images each."""
    for split in ("train", "val"):
        path = tiny_sports10 / f"{split}_split.csv"
        table = pd.read_csv(path)
        for row, name in enumerate(table["filename"]):
            folder, number = name.split("/")[0], int(name[-5]) + (4 if split == "val" else 0)
            new = f"{folder}/game{'abc'[number // 2]}_{number:03d}.jpg"
            (tiny_sports10 / name).rename(tiny_sports10 / new)
            table.loc[row, "filename"] = new
        table.to_csv(path, index=False)
    return tiny_sports10


def read(root, pair):
    return [pd.read_csv(root / f"{pair}_{split}_split.csv") for split in ("train", "val")]


def test_a_pair_parts_no_game_and_trains(games, call, capsys):
    assert call(games, "--group", "numbered", "--name", "games", "--val", 0.33) == 0
    train, val = read(games, "games")
    assert list(train.columns) == ["filename", "class", "group"]
    assert len(train) == 40 and len(val) == 20 and not set(train["group"]) & set(val["group"])
    assert val["class"].value_counts().tolist() == [2] * 10
    assert "train on them with -o data.splits=games" in capsys.readouterr().out
    recipe = load_recipe(
        "demo", ["data.layout=csv", f"data.root={games}", "data.splits=games", "data.size=[32, 32]"]
    )
    split = build_train_split(recipe, views_used=1)
    assert split.filenames == train["filename"].tolist() and len(split[0][0]) == 1
    assert build_eval_split(recipe).filenames == val["filename"].tolist()


def test_folds_hold_every_game_out_once(games, call):
    assert call(games, "--group", r"([^/]+/game[abc])", "--name", "fold", "--folds", 3) == 0
    held = [read(games, f"fold{k}")[1] for k in range(3)]
    together = pd.concat(held)
    assert len(together) == 60 and together["filename"].is_unique
    assert together.groupby("group").size().tolist() == [2] * 30
    assert sum(len(set(part["group"])) for part in held) == 30


def test_the_column_group_is_taken_where_there_is_one(games, call):
    for split in ("train", "val"):
        path = games / f"{split}_split.csv"
        table = pd.read_csv(path)
        table["group"] = table["filename"].str.extract(r"(game.)")[0]  # of all classes at once
        table.to_csv(path, index=False)
    assert call(games, "--folds", 3) == 0
    assert {read(games, f"groups{k}")[1]["group"].nunique() for k in range(3)} == {1}
    with pytest.raises(UserError, match="groups0_train_split.csv is there already"):
        call(games, "--folds", 2)
    assert call(games, "--folds", 2, "--force") == 0


def test_class_folders_are_split_by_a_pattern(games, tmp_path, call):
    for name in ("Tennis", "Hockey"):
        shutil.copytree(games / name, tmp_path / "photos" / name)
    assert call(tmp_path / "photos", "--group", "numbered", "--name", "games") == 0
    train, val = read(tmp_path / "photos", "games")
    assert len(train) + len(val) == 12 and set(val["class"]) == {"Tennis", "Hockey"}
    keys = ["data.layout=csv", f"data.root={tmp_path / 'photos'}", "data.splits=games", "data.size=[32, 32]"]
    assert build_eval_split(load_recipe("demo", keys)).classes == ("Hockey", "Tennis")


def test_without_groups_nothing_is_written(games, call):
    before = sorted(games.iterdir())
    with pytest.raises(UserError, match="has no column group: tell groups by --group"):
        call(games)
    with pytest.raises(UserError, match="finds no group in 60|finds no group in 40"):
        call(games, "--group", "(scene)")
    with pytest.raises(UserError, match="cannot be in 4 folds"):
        call(games, "--group", "numbered", "--folds", 4)
    assert sorted(games.iterdir()) == before


def test_leaks_are_reported_and_written(games, call, capsys):
    shutil.copy(games / "Tennis" / "gamea_000.jpg", games / "Tennis" / "gamec_004.jpg")
    assert call(games, "--leaks", "--group", "numbered") == 1
    out = capsys.readouterr().out
    assert "1 validation images are a training image, byte for byte: Tennis/gamec_004.jpg" in out
    assert "0 groups are on both sides" in out
    leaks = pd.read_csv(games / "leaks.csv")
    row = leaks[leaks["val"] == "Tennis/gamec_004.jpg"].iloc[0]
    assert row["train"] == "Tennis/gamea_000.jpg" and row["bits"] == 0 and row["same_bytes"]


def test_splits_of_a_layout_without_tables_are_refused(games):
    recipe = load_recipe("demo", ["data.layout=folder", f"data.root={games}", "data.splits=games"])
    with pytest.raises(UserError, match="data.splits: layout folder has no tables"):
        build_eval_split(recipe)


def test_eval_gives_the_accuracy_of_each_group(trained_run, tiny_sports10, tmp_path, call, capsys):
    weights = ["--weights", trained_run / "best_model.pdparams", "-o", f"data.root={tiny_sports10}"]
    assert call(*weights, "--group", r"(\d)\.jpg", "--output", tmp_path / "eval", tool="eval") == 0
    table = pd.read_csv(tmp_path / "eval" / "groups.csv")
    assert sorted(table["group"]) == [0, 1] and table["images"].tolist() == [10, 10]
    out = capsys.readouterr().out
    accuracy = float(out.split("top1 accuracy ")[1].split()[0].rstrip(","))
    assert table["accuracy"].mean() == pytest.approx(accuracy, abs=1e-4) and "2 groups" in out
