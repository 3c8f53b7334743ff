"""What goes wrong in a run loses nothing of it."""

import functools
import io
import itertools
import json
import multiprocessing
import os
import re
import signal
import time

import numpy as np
import paddle
import pandas as pd
import pytest
from tqdm import tqdm

from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.weights import load_weights, read_metadata


def position(folder):
    """(epoch, step) of the checkpoint of folder/run."""
    state = json.loads(read_metadata(folder / "run" / "latest.safetensors")["state"])
    return state["epoch"], state["step"]


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
    assert position(tmp_path) == (0, 5)
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


@pytest.mark.parametrize(
    ("step", "keys", "said"),
    [
        (1, [], "step 1 of epoch 1 .*no epoch was finished"),
        (7, [], "step 2 of epoch 2 .*holds the end of epoch 1"),
        (3, ["optim.accumulate=2"], "step 3 of epoch 1 .*no epoch was finished"),
    ],
)
def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_the_last_good_checkpoint(
    tiny_recipe, tmp_path, step, keys, said
):
    trainer = Trainer(tiny_recipe(*keys))
    all_losses, calls = trainer.method.all_losses, []

    def poisoned(outputs, labels):
        calls.append(1)
        losses = all_losses(outputs, labels)
        if len(calls) == step:
            losses["contrastive_stage2"] = paddle.to_tensor(float("nan"))
        return losses

    trainer.method.all_losses = poisoned
    with pytest.raises(UserError, match=f"not finite in {said}") as error:
        trainer.train()
    assert "contrastive_stage2 nan" in str(error.value)
    assert position(tmp_path) == (step // 5, 0)
    if step > 5:
        assert len(pd.read_csv(tmp_path / "run" / "metrics.csv")) == 1
    Trainer(tiny_recipe(*keys), resume=True).train()


def test_a_reading_process_that_dies_ends_the_run_with_its_signal_after_saving(
    tiny_recipe, tmp_path, same_run
):
    keys = ["data.num_workers=2", "data.batch_size=2", "optim.epochs=1"]
    Trainer(tiny_recipe(*keys, f"run.output_dir={tmp_path / 'whole'}")).train()
    trainer, killed_at = Trainer(tiny_recipe(*keys)), []
    after_step = trainer.method.after_step

    def kill_a_reader():
        after_step()
        if not killed_at and trainer.state.step == 3:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
            killed_at.append(time.monotonic())

    trainer.method.after_step = kill_a_reader
    with pytest.raises(UserError, match="ended from outside by SIGKILL.*lower data.num_workers"):
        trainer.train()
    assert time.monotonic() - killed_at[0] < 20
    epoch, step = position(tmp_path)
    assert epoch == 0 and step >= 4
    Trainer(tiny_recipe(*keys), resume=True).train()
    assert same_run(tmp_path / "whole", tmp_path / "run")


def test_a_training_image_that_breaks_in_the_second_epoch_loses_no_step(
    tiny_recipe, tiny_sports10, tmp_path, same_run
):
    Trainer(tiny_recipe(f"run.output_dir={tmp_path / 'whole'}")).train()
    image, trainer = tiny_sports10 / "Hockey" / "train_2.jpg", Trainer(tiny_recipe())
    whole, after_step = image.read_bytes(), trainer.method.after_step

    def break_an_image():
        after_step()
        if trainer.state.epoch == 1:
            image.write_bytes(b"")

    trainer.method.after_step = break_an_image
    try:
        trainer.train()  # an image that has been read ahead is not met again
    except UserError as error:
        assert "Hockey/train_2.jpg" in str(error) and position(tmp_path)[0] == 1
    image.write_bytes(whole)
    Trainer(tiny_recipe(), resume=True).train()
    assert same_run(tmp_path / "whole", tmp_path / "run")


def jumping_clock():
    """time.time() a day earlier or later with each call."""
    seconds = itertools.cycle((0.0, 86400.0, -86400.0))
    return lambda: 1.7e9 + next(seconds)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_clock_that_jumps_changes_neither_durations_nor_files(
    tiny_recipe, tmp_path, monkeypatch, stop_after
):
    monkeypatch.setattr(time, "time", jumping_clock())
    monkeypatch.setattr("ppcds.engine.progress.tqdm", functools.partial(tqdm, file=Terminal()))
    stop_after(Trainer(tiny_recipe("run.log_steps=1")), 7)
    Trainer(tiny_recipe("run.log_steps=1"), resume=True).train()
    log = (tmp_path / "run" / "train.log").read_text()
    told = re.findall(r"batch_cost (\S+) s (\S+) images/s eta (\S+)", log)
    assert len(told) == 10
    for cost, rate, eta in told:
        assert 0 < float(cost) < 60 and 0 < float(rate) < 1e5 and re.fullmatch(r"0:\d\d:\d\d", eta)
    assert len(list((tmp_path / "run" / "vdl").iterdir())) == 1
