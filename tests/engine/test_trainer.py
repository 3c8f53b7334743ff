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
from ppcds.models.processor_conv import onednn_trains
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


@pytest.mark.parametrize("steps", [1, 5, 7])
def test_a_stopped_run_goes_on_to_the_very_same_weights(tiny_recipe, tmp_path, stop_after, steps):
    Trainer(tiny_recipe(f"run.output_dir={tmp_path / 'whole'}")).train()
    stop_after(Trainer(tiny_recipe()), steps)
    state = json.loads(read_metadata(tmp_path / "run" / "latest.safetensors")["state"])
    assert state["epoch"] * 5 + state["step"] == steps
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


def test_a_signal_that_the_launcher_repeats_does_not_cut_off_the_last_save(
    tiny_recipe, tmp_path, monkeypatch
):
    monkeypatch.setattr("ppcds.engine.stop.num_ranks", lambda: 2)
    trainer, cut_off = Trainer(tiny_recipe()), []
    after_step, save = trainer.method.after_step, trainer._save

    def after_step_then_stop():
        after_step()
        signal.raise_signal(signal.SIGTERM)

    def save_meanwhile():
        if trainer.stop.signum:
            signal.raise_signal(signal.SIGTERM)
        save()

    trainer.method.after_step, trainer._save = after_step_then_stop, save_meanwhile
    before = signal.signal(signal.SIGTERM, lambda *_: cut_off.append(1))
    try:
        with pytest.raises(Stopped):
            trainer.train()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not cut_off
    state = json.loads(read_metadata(tmp_path / "run" / "latest.safetensors")["state"])
    assert (state["epoch"], state["step"]) == (0, 1)


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


def test_two_runs_in_one_folder_are_refused(tiny_recipe, tmp_path):
    first = Trainer(tiny_recipe())
    measure, refused = first.evaluation.measure, []

    def second_run_meanwhile(*args):
        with pytest.raises(UserError, match="another run is going on in"):
            Trainer(tiny_recipe()).train()
        refused.append(1)
        return measure(*args)

    first.evaluation.measure = second_run_meanwhile
    first.train()
    assert len(refused) == 2 and not (tmp_path / "run.1").exists()


def test_a_folder_that_cannot_be_made_is_named(tiny_recipe, tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UserError, match=r"run.output_dir .*run: File exists"):
        Trainer(tiny_recipe()).train()


def test_a_mistake_met_before_the_first_step_is_logged_and_leaves_the_folder_free(tiny_recipe, tmp_path):
    trainer = Trainer(tiny_recipe("optim.epochs=1"))

    def broken(said):
        raise UserError("a broken image")

    trainer._introduce = broken
    with pytest.raises(UserError):
        trainer.train()
    assert "error: a broken image" in (tmp_path / "run" / "train.log").read_text()
    Trainer(tiny_recipe("optim.epochs=1")).train()  # not refused: no run is going on there


@pytest.mark.parametrize("broken", ["train", "val"])
def test_a_broken_first_image_is_found_before_the_folder_is_made(
    tiny_recipe, tiny_sports10, tmp_path, broken
):
    for image in tiny_sports10.glob(f"*/{broken}_*.jpg"):
        image.write_bytes(b"")
    with pytest.raises(UserError, match=f"{broken}_"):
        Trainer(tiny_recipe()).train()
    assert not (tmp_path / "run").exists()


def test_a_broken_validation_image_does_not_lose_the_epoch(tiny_recipe, tiny_sports10, tmp_path):
    image = tiny_sports10 / "Volleyball" / "val_1.jpg"
    whole = image.read_bytes()
    image.write_bytes(b"")
    with pytest.raises(UserError, match="Volleyball/val_1.jpg"):
        Trainer(tiny_recipe()).train()
    state = json.loads(read_metadata(tmp_path / "run" / "latest.safetensors")["state"])
    assert (state["epoch"], state["step"]) == (0, 5)
    image.write_bytes(whole)
    assert Trainer(tiny_recipe(), resume=True).train()["epoch"] == 2


def test_weights_that_are_not_finite_do_not_replace_a_good_checkpoint(tiny_recipe, tmp_path):
    trainer = Trainer(tiny_recipe())
    after_step, steps = trainer.method.after_step, []

    def explode_in_the_last_step_of_epoch_2():
        after_step()
        steps.append(1)
        if len(steps) == 10:
            weight = trainer.method.parameters()[0]
            weight.set_value(paddle.full(weight.shape, float("inf")))

    trainer.method.after_step = explode_in_the_last_step_of_epoch_2
    with pytest.raises(UserError, match="no longer finite: start again with a lower optim.learning_rate"):
        trainer.train()
    assert all(
        np.isfinite(value).all() for value in load_weights(tmp_path / "run" / "latest.safetensors").values()
    )
    assert Trainer(tiny_recipe(), resume=True).train()["epoch"] == 2


def test_a_checkpoint_saved_right_after_a_resume_has_the_state_of_the_optimiser(tiny_recipe, tmp_path):
    Trainer(tiny_recipe("optim.epochs=1")).train()
    latest = tmp_path / "run" / "latest.safetensors"
    before = load_weights(latest)
    Trainer(tiny_recipe("optim.epochs=1"), resume=True)._save()
    after = load_weights(latest)
    assert before.keys() == after.keys()
    assert sum(name.startswith("optimizer.velocity") for name in after) > 20
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name], err_msg=name)


def test_a_checkpoint_without_the_optimiser_is_refused(tiny_recipe, tmp_path):
    Trainer(tiny_recipe("optim.epochs=1")).train()
    latest = tmp_path / "run" / "latest.safetensors"
    weights = {name: value for name, value in load_weights(latest).items() if name.startswith("method.")}
    save_weights(weights, latest, read_metadata(latest))
    with pytest.raises(UserError, match="the state of the optimiser is missing"):
        Trainer(tiny_recipe("optim.epochs=1"), resume=True)


def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_the_last_good_checkpoint(tiny_recipe, tmp_path):
    trainer = Trainer(tiny_recipe())
    all_losses, calls = trainer.method.all_losses, []

    def poisoned(outputs, labels):
        calls.append(1)
        losses = all_losses(outputs, labels)
        if len(calls) == 7:
            losses["contrastive_stage2"] = paddle.to_tensor(float("nan"))
        return losses

    trainer.method.all_losses = poisoned
    with pytest.raises(
        UserError, match=r"not finite in step 2 of epoch 2 .*contrastive_stage2 nan.*holds the end of epoch 1"
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
