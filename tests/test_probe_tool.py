"""tools/probe.py as its user runs it."""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ppcds.config import load_recipe
from ppcds.errors import UserError
from ppcds.models import build_encoder
from ppcds.runtime import seed_step
from ppcds.weights import load_weights, save_weights

TOOL = str(Path(__file__).parents[1] / "tools" / "probe.py")


@pytest.fixture
def probe(monkeypatch):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", [TOOL, *map(str, arguments)])
        return runpy.run_path(TOOL)["main"]()

    return call


@pytest.fixture
def run(trained_run, tmp_path):
    """A copy of the finished run that may be written into."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("recipe.yaml", "best_model.pdparams"):
        shutil.copy(trained_run / name, folder)
    return folder


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_command_line_measures_a_run_and_writes_beside_its_weights(run):
    weights = run / "best_model.pdparams"
    before = weights.read_bytes()
    command = [sys.executable, TOOL, "--weights", str(weights), "--labels", "0.5", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    found = read(run / "best_model_probe.json")
    assert (found["weights"], found["test_images"], found["knn_images"]) == (str(weights), 20, 40)
    half, whole = found["linear_probe"]
    assert (half["label_fraction"], half["train_images"], whole["train_images"]) == (0.5, 20, 40)
    assert whole["accuracy"] > 0.25  # far from guessing: weights that went astray would be seen
    assert 1 < found["effective_rank"] < found["feature_dim"] == 32
    said = " ".join(done.stdout.split())
    assert f"20 nearest neighbours 40 {found['knn_accuracy']:.4f}" in said
    assert f"linear probe, 0.5 of the labels 20 {half['accuracy']:.4f} {half['learning_rate']:g}" in said
    assert str(run / "best_model_probe.json") in done.stdout
    assert weights.read_bytes() == before


def test_features_are_extracted_once(run, probe, monkeypatch):
    from ppcds.engine import features

    extracted = []
    original = features.extract_features

    def extract(*args, **kwargs):
        extracted.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(features, "extract_features", extract)
    assert probe("--weights", run / "best_model.pdparams") == 0
    first = read(run / "best_model_probe.json")
    assert len(extracted) == 2 and (run / "best_model_features_train.safetensors").is_file()
    assert probe("--weights", run / "best_model.pdparams", "--output", run / "again.json") == 0
    assert len(extracted) == 2 and read(run / "again.json") == first


def test_training_images_are_those_of_the_recipe_with_all_their_labels(run, probe):
    few = ["-o", "data.train_images=20", "-o", "data.label_fraction=0.25"]
    assert probe("--weights", run / "best_model.pdparams", *few) == 0
    found = read(run / "best_model_probe.json")
    assert found["knn_images"] == found["linear_probe"][0]["train_images"] == 20
    kept = load_weights(run / "best_model_features_train.safetensors")
    assert np.bincount(kept["labels"]).tolist() == [2] * 10


def test_an_encoder_is_measured_on_what_lies_below_its_projection_head(run, probe, tmp_path):
    changes = ["method.name=simclr", "model.head={widths: [16, 8]}"]
    recipe = load_recipe(str(run / "recipe.yaml"), changes)
    recipe.save(run / "recipe.yaml")
    seed_step(3)
    encoder = build_encoder(recipe.model, recipe.data.size)
    save_weights(encoder.state_dict(), run / "best_model.pdparams")
    assert probe("--weights", run / "best_model.pdparams") == 0
    found = read(run / "best_model_probe.json")
    assert found["feature_dim"] == 32
    # the first weights of a run of that seed are these
    random = ["-o", "run.seed=3", "-o", f"run.output_dir={tmp_path / 'fresh'}"]
    assert probe("--random", "-c", run / "recipe.yaml", *random) == 0
    again = read(tmp_path / "fresh_random" / "seed3_probe.json")
    assert again["weights"] == "random" and again["effective_rank"] == found["effective_rank"]
    assert again["knn_accuracy"] == found["knn_accuracy"]
    assert not (tmp_path / "fresh").exists()


def test_the_layers_of_the_projection_head_are_measured_beside_what_lies_below_it(run, probe):
    recipe = load_recipe(str(run / "recipe.yaml"), ["method.name=simclr", "model.head={widths: [16, 8]}"])
    recipe.save(run / "recipe.yaml")
    encoder = build_encoder(recipe.model, recipe.data.size)
    save_weights(encoder.state_dict(), run / "best_model.pdparams")
    found = []
    for layer, name in ((0, ""), (1, "_head1"), (2, "_head2")):
        assert probe("--weights", run / "best_model.pdparams", "--head-layer", layer) == 0
        found.append(read(run / f"best_model{name}_probe.json"))
        assert found[-1]["head_layer"] == layer
    assert [one["feature_dim"] for one in found] == [32, 16, 8]
    assert len({one["effective_rank"] for one in found}) == 3
    assert load_weights(run / "best_model_head2_features_val.safetensors")["features"].shape == (20, 8)
    with pytest.raises(UserError, match="head layer 3: the projection head has only 2"):
        probe("--weights", run / "best_model.pdparams", "--head-layer", 3)
    assert not (run / "best_model_head3_probe.json").exists()


def test_random_weights_follow_from_the_seed(trained_run, tmp_path, probe):
    ranks = []
    for seed in (0, 0, 1):
        options = ["-o", f"run.seed={seed}", "-o", f"run.output_dir={tmp_path / 'x'}"]
        assert probe("--random", "-c", trained_run / "recipe.yaml", *options) == 0
        ranks.append(read(tmp_path / "x_random" / f"seed{seed}_probe.json")["effective_rank"])
    assert ranks[0] == ranks[1] != ranks[2]
    assert read(tmp_path / "x_random" / "seed0_probe.json")["effective_rank"] == ranks[0]  # not replaced


def test_each_file_of_weights_has_results_of_its_own(run, probe):
    arrays = load_weights(run / "best_model.pdparams")
    save_weights({name: array * 0.5 for name, array in arrays.items()}, run / "last_model.pdparams")
    found = []
    for weights in ("best_model", "last_model"):
        assert probe("--weights", run / f"{weights}.pdparams") == 0
        found.append(read(run / f"{weights}_probe.json"))
    assert found == [read(run / "best_model_probe.json"), read(run / "last_model_probe.json")]
    assert found[0]["effective_rank"] != found[1]["effective_rank"]


def test_a_warning_of_the_sweep_is_printed():
    from ppcds.report.representation import representation_table

    one = {
        "label_fraction": 0.1, "train_images": 7, "accuracy": 0.5, "learning_rate": 1.0,
        "held_back_accuracy": 0.4, "warning": "a larger one may be better still",
    }  # fmt: skip
    measured = {
        "test_images": 9, "feature_dim": 3, "effective_rank": 1.5, "knn_neighbours": 20, "knn_images": 8,
        "knn_accuracy": 0.25, "linear_probe": [one, {**one, "label_fraction": 1.0, "warning": ""}],
    }  # fmt: skip
    text = representation_table(measured)
    assert text.endswith("\nwarning: linear probe, 0.1 of the labels: a larger one may be better still")
    assert text.count("warning") == 1 and "9 images, 3 features, effective rank 1.5" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "model.width=8"], "best_model.pdparams: weights of another network"),
        (["--head-layer", "1"], "head layer 1: only an encoder has one, and this is a classifier"),
        (["--labels", "0.01"], "of 10 labelled images none can be held back, .*: use more labels"),
        (["-o", "data.train_images=41"], "data.train_images 41 is larger than the 40 training images"),
    ],
)
def test_a_mistake_is_told_in_words_and_writes_no_result(run, probe, arguments, said):
    with pytest.raises(UserError, match=said):
        probe("--weights", run / "best_model.pdparams", *arguments)
    assert not (run / "best_model_probe.json").exists()


def test_weights_that_are_not_finite_are_refused(run, probe):
    arrays = load_weights(run / "best_model.pdparams")
    arrays["fc.bias"][3] = float("nan")
    save_weights(arrays, run / "best_model.pdparams")
    with pytest.raises(UserError, match="fc.bias holds numbers that are not finite"):
        probe("--weights", run / "best_model.pdparams")


def test_help_and_mistakes_in_arguments_do_not_load_paddle(tmp_path):
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print('loaded' if 'paddle' in sys.modules else 'not loaded')"
    )
    for arguments, said in (
        (["--help"], "usage"),
        ([], "one of the arguments --weights --random is required"),
        (["--random"], r"argument --random: name the recipe (-c)"),
        (["--random", "-c", "demo", "--labels", "0"], "argument --labels: a share is above 0 and at most 1"),
        (["--weights", "w", "--head-layer", "-1"], "argument --head-layer: invalid choice: -1"),
        (["--weights", str(tmp_path / "w.pdparams")], "w.pdparams: no such file"),
    ):
        done = subprocess.run([sys.executable, "-c", code, TOOL, *arguments], capture_output=True, text=True)
        assert said in done.stdout + done.stderr
        assert done.stdout.split("\n")[-2] == "not loaded"
