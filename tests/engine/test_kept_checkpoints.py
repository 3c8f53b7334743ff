"""The checkpoints of the last epochs, and going back to one of them."""

import os

import pandas as pd
import pytest

from ppcds.cli import run_to_resume
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.files import link_whole
from ppcds.weights import load_weights


def kept(folder):
    return sorted(path.name for path in folder.iterdir() if "_epoch" in path.name)


def pairs(*epochs):
    names = [(f"best_model_epoch{n}.pdparams", f"checkpoint_epoch{n}.safetensors") for n in epochs]
    return sorted(name for pair in names for name in pair)


def measure_as(trainer, *accuracies):
    """Let the epochs of a run have these accuracies."""
    waiting = list(accuracies)
    trainer.evaluation.measure = lambda *_: {"eval_accuracy": waiting.pop(0)}
    return trainer


def test_the_last_epochs_are_kept_as_other_names_of_the_same_files(tiny_recipe, tmp_path):
    Trainer(tiny_recipe("optim.epochs=4", "run.keep_checkpoints=2")).train()
    run = tmp_path / "run"
    assert kept(run) == pairs(3, 4)
    assert os.path.samefile(run / "latest.safetensors", run / "checkpoint_epoch4.safetensors")
    assert os.path.samefile(run / "best_model.pdparams", run / "best_model_epoch4.pdparams")


def test_nothing_is_kept_unless_the_recipe_asks_for_it(tiny_recipe, tmp_path):
    Trainer(tiny_recipe()).train()
    assert kept(tmp_path / "run") == []


def test_a_run_that_goes_back_ends_as_the_undisturbed_one(tiny_recipe, tmp_path, same_run, stop_after):
    keys = ["optim.epochs=3", "run.keep_checkpoints=3"]
    Trainer(tiny_recipe(f"run.output_dir={tmp_path / 'whole'}", *keys)).train()
    Trainer(tiny_recipe(*keys)).train()
    run, recipe = tmp_path / "run", tiny_recipe(*keys)
    stop_after(Trainer(recipe, True, run / "checkpoint_epoch1.safetensors"), 2)  # in epoch 2
    assert pd.read_csv(run / "metrics.csv")["epoch"].tolist() == [1]
    assert "what was done after checkpoint_epoch1.safetensors is forgotten" in (run / "train.log").read_text()
    Trainer(recipe, resume=True).train()
    assert same_run(tmp_path / "whole", run)
    assert kept(run) == pairs(1, 2, 3)


def test_a_kill_right_after_going_back_has_gone_back(tiny_recipe, tmp_path):
    keys = ["optim.epochs=2", "run.keep_checkpoints=2"]
    Trainer(tiny_recipe(*keys)).train()
    back = Trainer(tiny_recipe(*keys), True, tmp_path / "run" / "checkpoint_epoch1.safetensors")
    back.record.prepare_folder()
    assert Trainer(tiny_recipe(*keys), resume=True).state.epoch == 1


def test_the_best_model_is_what_it_was_when_the_run_has_gone_back(tiny_recipe, tmp_path):
    keys = ["optim.epochs=3", "run.keep_checkpoints=3"]
    measure_as(Trainer(tiny_recipe(*keys)), 0.5, 0.4, 0.9).train()
    run = tmp_path / "run"
    best_of_1 = (run / "best_model_epoch1.pdparams").read_bytes()
    assert (run / "best_model_epoch2.pdparams").read_bytes() == best_of_1
    assert (run / "best_model.pdparams").read_bytes() != best_of_1
    changed = tiny_recipe(*keys, "optim.learning_rate=0.001")
    back = Trainer(changed, True, run / "checkpoint_epoch2.safetensors", ["optim.learning_rate"])
    measure_as(back, 0.3).train()
    assert back.state.best == 0.5 and (run / "best_model.pdparams").read_bytes() == best_of_1


def test_a_kill_in_the_middle_of_going_back_does_not_leave_the_best_model_of_later(tiny_recipe, tmp_path):
    keys = ["optim.epochs=3", "run.keep_checkpoints=3"]
    measure_as(Trainer(tiny_recipe(*keys)), 0.5, 0.4, 0.9).train()
    run = tmp_path / "run"
    best_of_2 = (run / "best_model_epoch2.pdparams").read_bytes()
    link_whole(run / "checkpoint_epoch2.safetensors", run / "latest.safetensors")  # the first half of go_back
    assert (run / "best_model.pdparams").read_bytes() != best_of_2
    measure_as(Trainer(tiny_recipe(*keys), resume=True), 0.3).train()
    assert (run / "best_model.pdparams").read_bytes() == best_of_2


def test_a_checkpoint_without_its_best_model_has_it_chosen_anew(tiny_recipe, tmp_path):
    keys = ["optim.epochs=2", "run.keep_checkpoints=2"]
    measure_as(Trainer(tiny_recipe(*keys)), 0.9, 0.1).train()
    run = tmp_path / "run"
    (run / "best_model_epoch1.pdparams").unlink()
    back = measure_as(Trainer(tiny_recipe(*keys), True, run / "checkpoint_epoch1.safetensors"), 0.2)
    back.train()
    assert back.state.best == 0.2
    best, last = (load_weights(run / f"{name}_model.pdparams") for name in ("best", "last"))
    assert all((best[name] == last[name]).all() for name in last)


def test_the_number_of_kept_ones_may_change_and_a_kill_before_they_were_kept_loses_none(
    tiny_recipe, tmp_path
):
    run = tmp_path / "run"
    Trainer(tiny_recipe("optim.epochs=1")).train()
    Trainer(tiny_recipe("optim.epochs=1", "run.keep_checkpoints=2"), resume=True).train()
    assert kept(run) == pairs(1)
    Trainer(tiny_recipe("optim.epochs=3", "run.keep_checkpoints=2"), resume=True).train()
    assert kept(run) == pairs(2, 3)
    Trainer(tiny_recipe("optim.epochs=3"), resume=True).train()
    assert kept(run) == pairs(2, 3)  # 0 leaves them alone


def test_checkpoints_of_epochs_that_are_forgotten_go_with_the_first_new_one(tiny_recipe, tmp_path):
    run = tmp_path / "run"
    Trainer(tiny_recipe("optim.epochs=4", "run.keep_checkpoints=3")).train()
    back = tiny_recipe("optim.epochs=3", "run.keep_checkpoints=3")
    Trainer(back, True, run / "checkpoint_epoch2.safetensors").train()
    assert kept(run) == pairs(2, 3)


def test_resume_takes_a_folder_or_a_checkpoint_in_it(tmp_path):
    (tmp_path / "checkpoint_epoch3.safetensors").write_text("")
    assert run_to_resume(str(tmp_path)) == (str(tmp_path), None)
    path = tmp_path / "checkpoint_epoch3.safetensors"
    assert run_to_resume(str(path)) == (str(tmp_path), path)
    with pytest.raises(
        UserError, match="checkpoint_epoch4.safetensors: no such checkpoint; the folder alone"
    ):
        run_to_resume(str(tmp_path / "checkpoint_epoch4.safetensors"))
