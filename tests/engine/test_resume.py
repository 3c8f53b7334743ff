"""A run that is stopped goes on exactly."""

import json
import re
import signal

import numpy as np
import pytest

from ppcds.engine.stop import Stopped
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.weights import load_weights, read_metadata, save_weights


@pytest.mark.parametrize("steps", [1, 5, 7])
def test_a_stopped_run_goes_on_to_the_very_same_weights(tiny_recipe, tmp_path, stop_after, same_run, steps):
    Trainer(tiny_recipe(f"run.output_dir={tmp_path / 'whole'}")).train()
    stop_after(Trainer(tiny_recipe()), steps)
    state = json.loads(read_metadata(tmp_path / "run" / "latest.safetensors")["state"])
    assert state["epoch"] * 5 + state["step"] == steps
    Trainer(tiny_recipe(), resume=True).train()
    assert same_run(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_in_the_middle_of_an_evaluation_loses_nothing(tiny_recipe, tmp_path, same_run, signum):
    Trainer(tiny_recipe(f"run.output_dir={tmp_path / 'whole'}")).train()
    trainer, batches = Trainer(tiny_recipe()), []
    measure = trainer.evaluation.measure

    def interrupted(network, epoch, check):
        def check_later():
            batches.append(1)
            if len(batches) == 2:
                signal.raise_signal(signum)
            check()

        return measure(network, epoch, check_later)

    trainer.evaluation.measure = interrupted
    with pytest.raises(Stopped):
        trainer.train()
    state = json.loads(read_metadata(tmp_path / "run" / "latest.safetensors")["state"])
    assert len(batches) == 2 and (state["epoch"], state["step"]) == (0, 5)
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
    with pytest.raises(
        UserError, match=r"has changed since, in method\.weight \(.*, optim\.learning_rate \("
    ):
        Trainer(tiny_recipe("optim.learning_rate=0.2", "method.weight=0.2"), resume=True)


def test_weights_alone_are_not_a_checkpoint(tiny_recipe, tmp_path):
    save_weights({"a": np.zeros(1)}, tmp_path / "run" / "latest.safetensors")
    with pytest.raises(UserError, match="holds no position and recipe"):
        Trainer(tiny_recipe(), resume=True)


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


def test_a_warning_is_given_once_a_run_however_often_it_is_resumed(tiny_recipe, stop_after, tmp_path):
    keys = ["method.temperature=10", "optim.epochs=3"]
    stop_after(Trainer(tiny_recipe(*keys)), 7)
    Trainer(tiny_recipe(*keys), resume=True).train()
    log = (tmp_path / "run" / "train.log").read_text()
    warned = re.findall(r"warning: (\S+) \S+ the temperature", log)
    assert warned and len(warned) == len(set(warned))
