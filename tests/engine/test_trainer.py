"""Runs, their folders, and going on exactly."""

import json
import signal

import numpy as np
import paddle
import pandas as pd
import pytest
from visualdl import LogReader

from ppcds.config import load_recipe
from ppcds.engine.stop import Stopped
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.weights import load_weights, read_metadata, save_weights


def same_run(one, other):
    """Whether two run folders hold the same weights and metrics, byte for byte."""
    files = ("best_model.pdparams", "metrics.csv")
    first, second = load_weights(one / "latest.safetensors"), load_weights(other / "latest.safetensors")
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in files)


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
    }
    metrics = pd.read_csv(run / "metrics.csv")
    assert metrics["epoch"].tolist() == [1, 2]
    parts = [name for name in metrics if name.startswith("train_c")]
    np.testing.assert_allclose(metrics["train_loss"], metrics[parts].sum(axis=1), rtol=1e-6)
    assert metrics["eval_accuracy"].iloc[-1] == last["eval_accuracy"]
    assert load_recipe(str(run / "recipe.yaml")).method.options()["temperature"] == 0.07
    log = (run / "train.log").read_text()
    assert "processor: " in log and "step 5/5" in log and "reader_cost" in log and "images/s" in log
    assert not [name for name in load_weights(run / "best_model.pdparams") if "head" in name]


def test_visualdl_holds_the_losses_the_rates_the_accuracies_and_the_views(tiny_recipe, tmp_path):
    Trainer(tiny_recipe()).train()
    reader = LogReader(file_path=str(next((tmp_path / "run" / "vdl").iterdir())))
    tags = reader.get_tags()
    wanted = {"loss", "cross_entropy", "contrastive_stage1", "learning_rate", "images_per_second", "accuracy"}
    assert {f"train/{name}" for name in wanted} | {"eval/accuracy"} <= set(tags["scalar"])
    assert [record.id for record in reader.get_data("scalar", "eval/accuracy")] == [5, 10]
    assert tags["image"] == ["views"]


@pytest.mark.parametrize("stop_after", [1, 5, 7])
def test_a_stopped_run_goes_on_to_the_very_same_weights(tiny_recipe, tmp_path, stop_after):
    Trainer(tiny_recipe(f"run.output_dir={tmp_path / 'whole'}")).train()
    trainer = Trainer(tiny_recipe())
    after_step, steps = trainer.method.after_step, []

    def after_step_then_stop():
        after_step()
        steps.append(1)
        if len(steps) == stop_after:
            signal.raise_signal(signal.SIGTERM)

    trainer.method.after_step = after_step_then_stop
    with pytest.raises(Stopped):
        trainer.train()
    state = json.loads(read_metadata(tmp_path / "run" / "latest.safetensors")["state"])
    assert state["epoch"] * 5 + state["step"] == stop_after
    Trainer(tiny_recipe(), resume=True).train()
    assert same_run(tmp_path / "whole", tmp_path / "run")


def test_a_stop_during_evaluation_loses_nothing(tiny_recipe, tmp_path):
    Trainer(tiny_recipe(f"run.output_dir={tmp_path / 'whole'}")).train()
    trainer = Trainer(tiny_recipe())
    measure = trainer.evaluation.measure

    def interrupted(*args):
        signal.raise_signal(signal.SIGINT)
        return measure(*args)

    trainer.evaluation.measure = interrupted
    with pytest.raises(Stopped):
        trainer.train()
    Trainer(tiny_recipe(), resume=True).train()
    assert same_run(tmp_path / "whole", tmp_path / "run")


def test_signals_are_handled_as_before_once_the_run_is_over(tiny_recipe):
    before = signal.getsignal(signal.SIGTERM)
    Trainer(tiny_recipe("optim.epochs=1")).train()
    assert signal.getsignal(signal.SIGTERM) is before


def test_resuming_a_finished_run_changes_nothing_and_more_epochs_may_follow(tiny_recipe, tmp_path):
    Trainer(tiny_recipe()).train()
    before = (tmp_path / "run" / "latest.safetensors").read_bytes()
    assert Trainer(tiny_recipe(), resume=True).train()["epoch"] == 2
    assert (tmp_path / "run" / "latest.safetensors").read_bytes() == before
    assert Trainer(tiny_recipe("optim.epochs=3"), resume=True).train()["epoch"] == 3


def test_a_changed_recipe_is_not_resumed(tiny_recipe):
    Trainer(tiny_recipe("optim.epochs=1")).train()
    with pytest.raises(UserError, match=r"has changed since, in method\.weight, optim\.learning_rate"):
        Trainer(tiny_recipe("optim.learning_rate=0.2", "method.weight=0.2"), resume=True)


def test_a_folder_without_a_run_is_not_resumed_and_not_made(tiny_recipe, tmp_path):
    with pytest.raises(UserError, match="is not a run that can be resumed"):
        Trainer(tiny_recipe(), resume=True)
    assert not (tmp_path / "run").exists()


def test_weights_alone_are_not_a_checkpoint(tiny_recipe, tmp_path):
    save_weights({"a": np.zeros(1)}, tmp_path / "run" / "latest.safetensors")
    with pytest.raises(UserError, match="holds no position and recipe"):
        Trainer(tiny_recipe(), resume=True)


def test_a_fresh_run_moves_an_earlier_one_aside(tiny_recipe, tmp_path):
    for _ in range(2):
        Trainer(tiny_recipe("optim.epochs=1")).train()
    assert (tmp_path / "run.1" / "latest.safetensors").is_file()
    assert "held a run, it is now" in (tmp_path / "run" / "train.log").read_text()


def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_the_last_good_checkpoint(tiny_recipe, tmp_path):
    trainer = Trainer(tiny_recipe())
    forward, calls = trainer.method.forward, []

    def poisoned(views, labels):
        calls.append(1)
        losses = forward(views, labels)
        if len(calls) == 7:
            losses["contrastive_stage2"] = paddle.to_tensor(float("nan"))
        return losses

    trainer.method.forward = poisoned
    with pytest.raises(
        UserError, match=r"not finite in step 2 of epoch 2 .*contrastive_stage2 nan.*holds epoch 1"
    ):
        trainer.train()
    state = json.loads(read_metadata(tmp_path / "run" / "latest.safetensors")["state"])
    assert (state["epoch"], state["step"]) == (1, 0)
    assert len(pd.read_csv(tmp_path / "run" / "metrics.csv")) == 1
    Trainer(tiny_recipe(), resume=True).train()


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
