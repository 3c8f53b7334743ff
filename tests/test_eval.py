"""tools/eval.py as its user runs it."""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ppcds.datasets import Sports10
from ppcds.errors import UserError
from ppcds.weights import load_weights, save_weights

TOOL = str(Path(__file__).parents[1] / "tools" / "eval.py")


@pytest.fixture
def evaluate(monkeypatch):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", [TOOL, *map(str, arguments)])
        return runpy.run_path(TOOL)["main"]()

    return call


def test_command_line_measures_what_training_measured(trained_run, tmp_path):
    command = [sys.executable, TOOL, "--weights", str(trained_run / "best_model.pdparams")]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "found")], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    best = pd.read_csv(trained_run / "metrics.csv")["eval_accuracy"].max()
    assert best > 0.25  # far from guessing: weights that went astray would be seen
    assert f"top1 accuracy {best:.4f}" in done.stdout and str(tmp_path / "found") in done.stdout
    saved = json.loads((tmp_path / "found" / "metrics.json").read_text(encoding="utf-8"))
    assert saved["top1_accuracy"] == pytest.approx(best)
    assert saved["images"] == 20 and list(saved["classes"]) == list(Sports10.CLASSES)
    table = pd.read_csv(tmp_path / "found" / "confusion.csv", index_col="true class")
    assert (table.sum(axis=1) == 2).all()
    assert table.to_numpy().trace() / 20 == pytest.approx(best)


def test_results_lie_beside_the_weights_under_the_name_of_the_split(trained_run, tmp_path, evaluate):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("recipe.yaml", "best_model.pdparams"):
        shutil.copy(trained_run / name, run)
    assert evaluate("--weights", run / "best_model.pdparams", "--split", "train") == 0
    saved = json.loads((run / "eval_train" / "metrics.json").read_text(encoding="utf-8"))
    assert saved["split"] == "train" and saved["images"] == 40


def test_a_recipe_of_the_fixed_layout_reads_the_same_data(trained_run, tmp_path, evaluate):
    weights = trained_run / "best_model.pdparams"
    assert evaluate("--weights", weights, "-o", "data.layout=sports10", "--output", tmp_path) == 0
    best = pd.read_csv(trained_run / "metrics.csv")["eval_accuracy"].max()
    assert json.loads((tmp_path / "metrics.json").read_text())["top1_accuracy"] == pytest.approx(best)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "model.width=8"], "best_model.pdparams: weights of another network: .*conv1.weight"),
        (["-o", "data.classes=[a, b]", "-o", "data.layout=sports10"], "data.classes: layout sports10"),
        (["-o", "data.classes=[a, a]"], "data.classes: .* names a class twice"),
        (["-o", "data.classes=[a, b]"], "unknown class 'AmericanFootball'"),
        (["--split", "test"], "no file .*test_split.csv"),
        (["--device", "gpu:7"], "gpu"),
    ],
)
def test_a_mistake_is_told_in_words_and_writes_nothing(trained_run, tmp_path, evaluate, arguments, said):
    with pytest.raises(UserError, match=said):
        evaluate("--weights", trained_run / "best_model.pdparams", "--output", tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_weights_without_a_recipe_beside_them_ask_for_one(trained_run, tmp_path, evaluate):
    shutil.copy(trained_run / "best_model.pdparams", tmp_path)
    with pytest.raises(
        UserError, match=r"no recipe.yaml beside .*name the recipe it was trained with \(-c\)"
    ):
        evaluate("--weights", tmp_path / "best_model.pdparams")


def test_a_checkpoint_is_not_taken_for_deployed_weights(trained_run, evaluate):
    with pytest.raises(UserError, match="latest.safetensors is a checkpoint .*best_model.pdparams"):
        evaluate("--weights", trained_run / "latest.safetensors")


def test_weights_that_are_not_finite_are_refused(trained_run, tmp_path, evaluate):
    arrays = load_weights(trained_run / "best_model.pdparams")
    arrays["fc.bias"][3] = float("nan")
    save_weights(arrays, tmp_path / "broken.pdparams")
    with pytest.raises(UserError, match="broken.pdparams: fc.bias holds numbers that are not finite"):
        evaluate("--weights", tmp_path / "broken.pdparams", "-c", trained_run / "recipe.yaml")


def test_a_broken_image_ends_the_evaluation_with_its_name(trained_run, tiny_sports10, tmp_path, evaluate):
    (tiny_sports10 / "Tennis" / "val_1.jpg").write_bytes(b"no image")
    weights = trained_run / "best_model.pdparams"
    with pytest.raises(UserError, match=r"Tennis.val_1.jpg"):
        evaluate("--weights", weights, "-o", f"data.root={tiny_sports10}", "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_help_and_mistakes_in_arguments_do_not_load_paddle(tmp_path):
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print('loaded' if 'paddle' in sys.modules else 'not loaded')"
    )
    for arguments, said in (
        (["--help"], "usage"),
        (["--weights", str(tmp_path / "w.pdparams")], "w.pdparams"),
    ):
        done = subprocess.run([sys.executable, "-c", code, TOOL, *arguments], capture_output=True, text=True)
        assert said in done.stdout + done.stderr
        assert done.stdout.split("\n")[-2] == "not loaded"
