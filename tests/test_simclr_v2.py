"""tools/simclr_v2.py as its user runs it."""

import runpy
import signal
import sys
from pathlib import Path

import pytest

from ppcds.config import load_recipe
from ppcds.errors import UserError
from ppcds.methods.distillation import Distillation
from ppcds.methods.supervised import Supervised

TOOL = str(Path(__file__).parents[1] / "tools" / "simclr_v2.py")


@pytest.fixture
def simclr_v2(tiny_sports10, tmp_path, monkeypatch):
    """simclr_v2(*arguments) -> exit status: three steps of one epoch on the tiny data set."""
    recipes = ["cifar10_simclr_cpu", "cifar10_finetune_cpu", "cifar10_distill_cpu"]
    changes = [
        "data.layout=csv",
        f"data.root={tiny_sports10}",
        "data.train_images=null",
        "data.batch_size=10",
    ]
    changes += ["model.width=4", "optim.epochs=1", "optim.schedule.name=constant"]
    head = "model.head={widths: [8, 4], batch_norm: hidden}"
    steps = ["--pretrain-o", head, "--finetune-o", head, "--finetune-o", "data.label_fraction=0.5"]
    steps += ["--distill-o", "model.width=2"]
    fixed = ["--recipes", *recipes, "--output", str(tmp_path / "out"), *steps]
    fixed += [word for key in changes for word in ("-o", key)]

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", [TOOL, *fixed, *map(str, arguments)])
        return runpy.run_path(TOOL)["main"]()

    return call


def test_stopped_in_any_step_the_same_command_ends_in_the_table_of_three(
    simclr_v2, monkeypatch, tmp_path, capsys
):
    def stop(self):
        signal.raise_signal(signal.SIGTERM)

    for number, method in ((2, Supervised), (3, Distillation)):
        with monkeypatch.context() as patch:
            patch.setattr(method, "after_step", stop)
            assert simclr_v2() == 128 + signal.SIGTERM
        assert f"Stopped in run {number} of 3" in capsys.readouterr().out
    assert simclr_v2() == 0
    said = capsys.readouterr().out
    assert "pretrain: finished" in said and "finetune: finished" in said and "distill: goes on" in said
    assert "pretrain by nearest neighbours of the features; finetune by its classifier" in said
    rows = [line.split(" | ") for line in said.splitlines() if line.startswith("| ")][2:]
    assert [row[0] for row in rows] == ["| pretrain", "| finetune", "| distill"]
    assert all(0 <= float(row[1]) <= 1 for row in rows)
    pretrained = load_recipe(str(tmp_path / "out" / "finetune" / "recipe.yaml")).model.pretrained
    assert pretrained == str(tmp_path / "out" / "pretrain" / "last_model.pdparams")


def test_longer_pretraining_of_weights_in_use_is_refused(simclr_v2):
    assert simclr_v2() == 0
    with pytest.raises(UserError, match="finetune started from other weights than .*pretrain will end with"):
        simclr_v2("--pretrain-o", "optim.epochs=2")


def test_the_shipped_recipes_form_the_chain(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [TOOL, "-o", "data.root=nowhere"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="nowhere"):  # no option is unknown; only the images are missing
        runpy.run_path(TOOL)["main"]()
    assert list(tmp_path.iterdir()) == []
