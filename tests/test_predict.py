"""tools/predict.py as its user runs it."""

import csv
import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import hostile_images
import pandas as pd
import pytest

from ppcds.datasets import Sports10
from ppcds.engine.predict import find_images
from ppcds.errors import UserError

TOOL = str(Path(__file__).parents[1] / "tools" / "predict.py")


@pytest.fixture
def run(trained_run, tmp_path):
    """The weights and the recipe of a run on layout csv, away from its data."""
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(trained_run / "best_model.pdparams", folder)
    recipe = (trained_run / "recipe.yaml").read_text(encoding="utf-8")
    (folder / "recipe.yaml").write_text(recipe.replace(str(trained_run.parent), "/nowhere"), encoding="utf-8")
    return folder


@pytest.fixture
def predict(monkeypatch, run):
    def call(*arguments):
        weights = ["--weights", str(run / "best_model.pdparams")]
        monkeypatch.setattr(sys, "argv", [TOOL, *weights, *map(str, arguments)])
        return runpy.run_path(TOOL)["main"]()

    return call


@pytest.fixture
def validation_images(tiny_sports10):
    """{file: class} of the validation images."""
    table = pd.read_csv(tiny_sports10 / "val_split.csv")
    return {str(tiny_sports10 / name): label for name, label in zip(table["filename"], table["class"])}


def test_without_training_data_predictions_are_as_good_as_in_training(
    predict, trained_run, validation_images, capsys
):
    assert predict(*validation_images, "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [entry["file"] for entry in found] == list(validation_images)
    right = [entry["predictions"][0]["class"] == validation_images[entry["file"]] for entry in found]
    best = pd.read_csv(trained_run / "metrics.csv")["eval_accuracy"].max()
    assert sum(right) / len(right) == pytest.approx(best)


def test_json_has_the_top_classes_in_falling_order(predict, validation_images, capsys):
    image = next(iter(validation_images))
    assert predict(image, "--format", "json", "--top", "50") == 0
    ((file, ranked),) = (entry.values() for entry in json.loads(capsys.readouterr().out))
    assert file == image
    assert sorted(entry["class"] for entry in ranked) == list(Sports10.CLASSES)
    probabilities = [entry["probability"] for entry in ranked]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)


def test_csv_and_table_show_the_same_as_json(predict, validation_images, tmp_path, capsys):
    images = list(validation_images)[:3]
    assert predict(*images, "--top", "2", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    expected = [(e["file"], p["class"], p["probability"]) for e in found for p in e["predictions"]]

    assert predict(*images, "--top", "2", "--output", tmp_path / "new" / "found.csv") == 0
    with open(tmp_path / "new" / "found.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "rank", "class", "probability"]
    assert [row["rank"] for row in rows] == ["1", "2"] * 3
    assert [(row["file"], row["class"], float(row["probability"])) for row in rows] == expected

    capsys.readouterr()
    assert predict(*images, "--top", "2") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["file", "rank", "probability", "class"]
    assert [line[0] for line in lines[1::2]] == images
    assert [line[-1] for line in lines[1:]] == [name for _, name, _ in expected]


def test_batches_do_not_change_predictions(predict, validation_images, capsys):
    outputs = []
    for size in (1, 3, 64):
        predict(*validation_images, "--format", "json", "--top", "1", "-o", f"data.batch_size={size}")
        outputs.append(json.loads(capsys.readouterr().out))
    for first, other in zip(outputs[0] * 2, outputs[1] + outputs[2]):
        assert first["file"] == other["file"]
        assert first["predictions"][0]["probability"] == pytest.approx(
            other["predictions"][0]["probability"], abs=1e-4
        )


def test_command_line_names_and_skips_what_it_cannot_read(run, tiny_sports10):
    folder = tiny_sports10 / "Tennis"
    whole = (folder / "val_0.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("this is no picture", encoding="utf-8")
    (folder / "empty.png").touch()
    command = [sys.executable, TOOL, str(folder), str(folder / "absent.jpg"), "--format", "json"]
    done = subprocess.run(
        [*command, "--weights", str(run / "best_model.pdparams")], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for name, fault in (
        ("cut.jpg", "is a truncated JPEG"),
        ("text.jpg", "is not an image"),
        ("empty.png", "is empty"),
        ("absent.jpg", "No such file"),
    ):
        assert any(name in line and fault in line for line in done.stderr.splitlines()), done.stderr
    assert "4 of 10 files could not be read" in done.stderr
    assert [Path(entry["file"]).name for entry in json.loads(done.stdout)] == [
        *[f"train_{i}.jpg" for i in range(4)],
        *[f"val_{i}.jpg" for i in range(2)],
    ]


def test_what_would_hang_or_fill_the_memory_is_skipped_too(predict, tiny_sports10, tmp_path, capsys):
    folder = tmp_path / "images"
    folder.mkdir()
    shutil.copy(tiny_sports10 / "Tennis/val_0.jpg", folder / "really.png")
    (folder / "bomb.jpg").write_bytes(hostile_images.refused_files()["bomb.jpg"][0])
    hostile_images.write_no_files(folder)
    assert predict(folder, folder / "pipe.jpg", "--format", "json", "--top", "1") == 1
    found, said = capsys.readouterr()
    assert [entry["file"] for entry in json.loads(found)] == [str(folder / "really.png")]
    assert "bomb.jpg is a JPEG of 30000x30000 pixels" in said
    assert said.count("pipe.jpg: it is a pipe or device") == 2


def test_json_of_nothing_but_broken_files_is_an_empty_list(predict, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("no picture", encoding="utf-8")
    assert predict(tmp_path / "text.jpg", "--format", "json") == 1
    assert json.loads(capsys.readouterr().out) == []


def test_a_reader_that_has_enough_ends_the_tool_quietly(run, tiny_sports10):
    arguments = [str(tiny_sports10), "--weights", str(run / "best_model.pdparams"), "--top", "10"]
    process = subprocess.Popen(
        [sys.executable, TOOL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=240)
    assert "Traceback" not in errors and "BrokenPipe" not in errors


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "model.width=8"], "best_model.pdparams: weights of another network"),
        (["-o", "data.classes=null"], "data.classes: not in the recipe, and there is no .*train_split.csv"),
        (["-o", "data.size=[16, 16]"], "images of 16x16 px are too small"),
        (["-c", "sports10", "-o", "model.nam=resnet18"], "did you mean 'name'"),
    ],
)
def test_a_mistake_is_told_in_words_and_writes_nothing(predict, validation_images, tmp_path, arguments, said):
    with pytest.raises(UserError, match=said):
        predict(*validation_images, "--output", tmp_path / "out" / "found.csv", *arguments)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_an_output_that_cannot_be_written_is_told_in_words(predict, validation_images):
    image = next(iter(validation_images))
    with pytest.raises(UserError, match="cannot write .*found.csv"):
        predict(image, "--output", f"{image}/found.csv")


def test_weights_without_a_recipe_beside_them_ask_for_one(predict, run, validation_images):
    (run / "recipe.yaml").unlink()
    with pytest.raises(UserError, match=r"no recipe.yaml beside .*\(-c\)"):
        predict(*validation_images)


def test_folders_are_searched_all_through_and_files_taken_as_named(tmp_path):
    names = ["b/deep/2.PNG", "b/1.jpeg", "a/1.jpg", "a/notes.txt", "a/._1.jpg", "odd.name"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_images([tmp_path / "odd.name", tmp_path / "b", tmp_path / "a"])
    assert [Path(file).relative_to(tmp_path).as_posix() for file in found] == [
        "odd.name", "b/1.jpeg", "b/deep/2.PNG", "a/1.jpg",
    ]  # fmt: skip


def test_no_image_anywhere_is_a_mistake(predict, tmp_path):
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match="no image in .*bare"):
        predict(tmp_path / "bare")


def test_help_and_mistakes_in_arguments_do_not_load_paddle():
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print('loaded' if 'paddle' in sys.modules else 'not loaded')"
    )
    for arguments, said in ((["--help"], "usage"), (["a.jpg", "--weights", "w", "--top", "0"], "--top")):
        done = subprocess.run([sys.executable, "-c", code, TOOL, *arguments], capture_output=True, text=True)
        assert said in done.stdout + done.stderr
        assert done.stdout.split("\n")[-2] == "not loaded"
