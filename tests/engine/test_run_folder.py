"""A run's folder is one run's at a time."""

import os
import signal
import time

import pytest

from ppcds.config import load_recipe
from ppcds.engine.checkpoint import read_position
from ppcds.engine.deployed import load_classifier
from ppcds.engine.run_folder import RunFolder
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError


def test_a_folder_without_a_run_is_not_resumed_and_not_made(tiny_recipe, tmp_path):
    with pytest.raises(UserError, match="is not a run that can be resumed"):
        Trainer(tiny_recipe(), resume=True)
    assert not (tmp_path / "run").exists()


def test_a_fresh_run_moves_an_earlier_one_aside(tiny_recipe, tmp_path):
    for _ in range(2):
        Trainer(tiny_recipe("optim.epochs=1")).train()
    assert (tmp_path / "run.1" / "latest.safetensors").is_file()
    assert "held a run, it is now" in (tmp_path / "run" / "train.log").read_text()


def test_two_runs_in_one_folder_are_refused(tiny_recipe, tmp_path):
    first = Trainer(tiny_recipe())
    measure, refused = first.evaluation.measure, []

    def second_run_meanwhile(*args):
        for resume in (False, True):
            with pytest.raises(UserError, match="another run is going on in"):
                Trainer(tiny_recipe(), resume).train()
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

    def broken():
        raise UserError("a broken image")

    trainer.record.introduce = broken
    with pytest.raises(UserError):
        trainer.train()
    assert "error: a broken image" in (tmp_path / "run" / "train.log").read_text()
    Trainer(tiny_recipe("optim.epochs=1")).train()  # not refused: no run is going on there


def test_weights_of_a_run_that_is_going_on_can_be_read(tiny_recipe, tmp_path):
    trainer, read = Trainer(tiny_recipe()), []
    measure = trainer.evaluation.measure

    def read_meanwhile(*args):
        if trainer.state.epoch == 1:
            recipe = load_recipe(str(tmp_path / "run" / "recipe.yaml"))
            load_classifier(recipe, 10, tmp_path / "run" / "best_model.pdparams")
            read.append(read_position(tmp_path / "run" / "latest.safetensors", recipe).step)
        return measure(*args)

    trainer.evaluation.measure = read_meanwhile
    trainer.train()
    assert read == [5]


def test_what_a_killed_run_has_left_half_written_is_removed_by_the_next(tiny_recipe, tmp_path):
    Trainer(tiny_recipe("optim.epochs=1")).train()
    for left in (".latest.safetensors.4711.tmp", "vdl/.vdlrecords.1.log.4711.tmp"):
        (tmp_path / "run" / left).write_bytes(b"half")
    Trainer(tiny_recipe("optim.epochs=1"), resume=True).train()
    assert not list((tmp_path / "run").rglob("*.tmp"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_reading_process_that_outlives_its_run_does_not_hold_the_folder(tmp_path):
    held = RunFolder(tmp_path / "run", resume=False)
    with pytest.raises(UserError, match="another run is going on"):
        RunFolder(tmp_path / "run", resume=True)
    reader = os.fork()
    if not reader:
        time.sleep(60)
        os._exit(0)
    try:
        time.sleep(0.2)
        held.release()  # the system does the same for a process that is killed
        RunFolder(tmp_path / "run", resume=True).release()
    finally:
        os.kill(reader, signal.SIGKILL)
        os.waitpid(reader, 0)
