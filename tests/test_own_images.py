"""The README's way from a folder of one's own images to predictions, without a table."""

import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from ppcds.weights import load_weights

TOOLS = Path(__file__).parents[1] / "tools"
SMALL = [
    "model.width=4",
    "data.size=[32, 32]",
    "data.batch_size=8",
    "optim.epochs=6",
    "optim.learning_rate=0.02",
]


@pytest.fixture
def call(monkeypatch):
    """call("train", ...): the exit status of tools/train.py."""

    def run(tool, *arguments):
        monkeypatch.setattr(sys, "argv", [str(TOOLS / f"{tool}.py"), *map(str, arguments)])
        return runpy.run_path(sys.argv[0])["main"]()

    return run


@pytest.fixture
def photos(tiny_sports10, tmp_path):
    """Four classes of six pictures, each in its folder."""
    for name in ("Tennis", "Hockey", "Soccer", "Volleyball"):
        shutil.copytree(tiny_sports10 / name, tmp_path / "photos" / f"my {name}")
    return tmp_path / "photos"


def test_class_folders_are_trained_evaluated_and_predicted_from(photos, tmp_path, call, capsys):
    run = tmp_path / "mine"
    keys = [*SMALL, "data.layout=folder", f"data.root={photos}", f"run.output_dir={run}"]
    assert call("train", "-c", "sports10_cpu", *(word for key in keys for word in ("-o", key))) == 0
    recipe = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["data"]["classes"] == ["my Hockey", "my Soccer", "my Tennis", "my Volleyball"]
    means = {
        str(steps[-1]["Normalize"]["mean"]) for steps in [*recipe["views"]["train"], recipe["views"]["eval"]]
    }
    assert len(means) == 1 and means != {"[0.4914, 0.4822, 0.4465]"}
    assert load_weights(run / "best_model.pdparams")["fc.weight"].shape[-1] == 4
    assert "20 training and 4 validation images, 4 classes" in (run / "train.log").read_text(encoding="utf-8")

    assert call("eval", "--weights", run / "best_model.pdparams") == 0
    capsys.readouterr()
    strange = shutil.move(photos / "my Tennis" / "val_0.jpg", tmp_path / "new.jpg")
    shutil.rmtree(photos)
    assert call("predict", strange, "--weights", run / "best_model.pdparams", "--format", "json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["predictions"][0]["class"] in recipe["data"]["classes"]


def test_a_run_on_class_folders_goes_on_only_with_the_same_colours(photos, tmp_path, call):
    run = tmp_path / "mine"
    keys = [*SMALL, "data.layout=folder", f"data.root={photos}", f"run.output_dir={run}", "run.log_steps=1"]
    words = [word for key in keys for word in ("-o", key)]
    assert call("train", "-c", "sports10_cpu", *words) == 0
    assert call("train", "-c", "sports10_cpu", *words, "--resume") == 0  # measured again, and the same
