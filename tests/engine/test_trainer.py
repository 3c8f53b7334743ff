"""What a run leaves, and whether it learns."""

import numpy as np
import pandas as pd
import pytest
from visualdl import LogReader

from ppcds.config import load_recipe
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.models.processor_conv import onednn_trains
from ppcds.weights import load_weights


def test_a_run_leaves_its_recipe_log_metrics_curves_and_weights(tiny_recipe, tmp_path):
    last = Trainer(tiny_recipe()).train()
    run = tmp_path / "run"
    names = {path.name for path in run.iterdir()}
    assert names == {
        "recipe.yaml",
        "train.log",
        "metrics.csv",
        "vdl",
        "latest.safetensors",
        "best_model.pdparams",
        "last_model.pdparams",
    }
    metrics = pd.read_csv(run / "metrics.csv")
    assert metrics["epoch"].tolist() == [1, 2]
    parts = [name for name in metrics if name.startswith("train_c")]
    np.testing.assert_allclose(metrics["train_loss"], metrics[parts].sum(axis=1), rtol=1e-6)
    for name in ("eval_accuracy", "eval_loss"):
        assert metrics[name].iloc[-1] == pytest.approx(last[name])
    assert 0 < last["eval_loss"] < 100  # after ten steps the running statistics are rough
    assert load_recipe(str(run / "recipe.yaml")).method.options()["temperature"] == 0.07
    log = (run / "train.log").read_text()
    whose = "oneDNN" if onednn_trains() else "Paddle's own kernels"
    assert f", convolutions by {whose}\n" in log
    assert "processor: " in log and "step 5/5" in log and "reader_cost" in log and "images/s" in log
    assert not [name for name in load_weights(run / "best_model.pdparams") if "head" in name]


def test_visualdl_holds_the_losses_the_rates_the_accuracies_and_the_views(tiny_recipe, tmp_path):
    Trainer(tiny_recipe()).train()
    reader = LogReader(file_path=str(next((tmp_path / "run" / "vdl").iterdir())))
    tags = reader.get_tags()
    wanted = {"loss", "cross_entropy", "contrastive_stage1", "learning_rate", "images_per_second", "accuracy"}
    assert {f"train/{name}" for name in wanted} | {"eval/accuracy", "eval/loss"} <= set(tags["scalar"])
    for tag in ("eval/accuracy", "eval/loss"):
        assert [record.id for record in reader.get_data("scalar", tag)] == [5, 10]
    assert "eval_loss" not in (tmp_path / "run" / "train.log").read_text()  # which has no room for it
    assert tags["image"] == ["views"]


def test_training_lowers_the_loss_and_learns_the_stripes(tiny_recipe):
    trainer = Trainer(tiny_recipe("optim.epochs=12", "model.width=8"))
    trainer.train()
    losses = [row["train_loss"] for row in trainer.state.history]
    assert losses[-1] < 0.8 * losses[0]
    assert trainer.state.best > 0.3  # chance is 0.1


def test_pretrained_weights_are_where_a_run_starts(tiny_recipe, tmp_path):
    Trainer(tiny_recipe("optim.epochs=1")).train()
    best = tmp_path / "run" / "best_model.pdparams"
    trainer = Trainer(tiny_recipe(f"model.pretrained={best}"))
    for name, tensor in trainer.method.deployed().state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), load_weights(best)[name])
    with pytest.raises(UserError, match="weights of another network"):
        Trainer(tiny_recipe(f"model.pretrained={best}", "model.width=4"))


def test_a_method_that_needs_more_views_than_the_recipe_has_is_refused(tiny_recipe, tmp_path):
    with pytest.raises(UserError, match=r"views.train has 1 view\(s\), method cds needs 2"):
        Trainer(tiny_recipe("views.train=[[ToArray]]"))
    assert not (tmp_path / "run").exists()
