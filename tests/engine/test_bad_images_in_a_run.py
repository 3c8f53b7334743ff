"""A run that meets images it cannot read: it ends with all that was done kept, or goes on without them."""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ppcds.datasets.build import build_eval_split, build_train_split
from ppcds.engine.checkpoint import read_checkpoint
from ppcds.engine.evaluate import Evaluation
from ppcds.engine.features import features_of_split
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.methods.build import build_method

EVAL = str(Path(__file__).parents[2] / "tools" / "eval.py")
TRAIN = Path(__file__).parents[2] / "tools" / "train.py"


def logged(run):
    """The lines of train.log without their times."""
    return [line.split(" ", 2)[2] for line in (run / "train.log").read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def damage(tiny_sports10):
    """damage(*filenames): cut them in half."""

    def cut(*filenames):
        for filename in filenames:
            content = (tiny_sports10 / filename).read_bytes()
            (tiny_sports10 / filename).write_bytes(content[: len(content) // 2])

    return cut


@pytest.fixture
def damaged_in_epoch_2(tiny_recipe, tiny_sports10, tmp_path):
    """run(*overrides): a trainer whose first epoch empties an image of the fourth batch of the second one."""

    def run(*overrides):
        trainer = Trainer(tiny_recipe("optim.epochs=3", *overrides))
        end_epoch = trainer._end_epoch

        def damage_then():
            end_epoch()
            file = tiny_sports10 / trainer.train_split.filenames[trainer.parts.batches(1)[3][0]]
            shutil.copy(file, tmp_path / "whole.jpg")
            file.write_bytes(b"")

        trainer._end_epoch = damage_then
        return trainer

    return run


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_breaks_in_epoch_2_ends_the_run_and_loses_nothing(
    workers, damaged_in_epoch_2, tiny_recipe, tiny_sports10, tmp_path, same_run
):
    options = [f"data.num_workers={workers}"]
    Trainer(tiny_recipe("optim.epochs=3", "run.output_dir=" + str(tmp_path / "whole"))).train()
    with pytest.raises(UserError) as caught:
        damaged_in_epoch_2(*options).train()
    message = str(caught.value)
    assert ".jpg is empty (zero bytes); " in message and "\n" not in message
    saved = f"(saved after step 3 of epoch 2: --resume {tmp_path / 'run'} goes on)"
    assert message.endswith(f"-o data.on_bad_image=skip {saved}")
    assert logged(tmp_path / "run")[-1] == f"error: {message}"
    assert len(pd.read_csv(tmp_path / "run" / "metrics.csv")) == 1
    state = read_checkpoint(tmp_path / "run" / "latest.safetensors").state
    assert (state.epoch, state.step) == (1, 3)

    (broken,) = (file for file in tiny_sports10.glob("*/*.jpg") if not file.stat().st_size)
    shutil.copy(tmp_path / "whole.jpg", broken)
    Trainer(tiny_recipe("optim.epochs=3", *options), resume=True).train()
    assert same_run(tmp_path / "run", tmp_path / "whole")


def test_a_run_that_ended_at_a_bad_image_goes_on_without_it(damaged_in_epoch_2, tiny_recipe, tmp_path):
    with pytest.raises(UserError, match="is empty"):
        damaged_in_epoch_2().train()
    Trainer(tiny_recipe("optim.epochs=3", "data.on_bad_image=skip"), resume=True).train()
    assert len(pd.read_csv(tmp_path / "run" / "metrics.csv")) == 3
    lines = logged(tmp_path / "run")
    assert sum(line.startswith("skipped: ") for line in lines) == 1
    assert "1 image could not be read: 1 of train (data.on_bad_image: skip)" in lines


def test_skip_names_each_image_once_and_counts_them(tiny_recipe, damage, tmp_path, same_run):
    damage("Tennis/train_1.jpg", "Hockey/train_3.jpg", "Tennis/val_0.jpg")
    for workers, where in ((0, "run"), (2, "with_two")):
        options = ["data.on_bad_image=skip", "optim.epochs=3", f"data.num_workers={workers}"]
        Trainer(tiny_recipe(*options, f"run.output_dir={tmp_path / where}")).train()
        lines = logged(tmp_path / where)
        named = [line for line in lines if line.startswith("skipped: ")]
        assert len(named) == 3 and all("is a truncated JPEG" in line for line in named)
        for name in ("Tennis/train_1.jpg", "Hockey/train_3.jpg", "Tennis/val_0.jpg"):
            assert sum(name in line for line in named) == 1
        said = "3 images could not be read: 2 of train and 1 of val (data.on_bad_image: skip)"
        assert lines.count(said) == 1
    assert same_run(tmp_path / "run", tmp_path / "with_two")


def test_the_count_at_the_end_is_of_the_whole_run_however_often_it_was_resumed(
    tiny_recipe, damage, tiny_sports10, tmp_path, stop_after, same_run
):
    options, bad = ["data.on_bad_image=skip", "optim.epochs=2"], ("Tennis/train_1.jpg", "Tennis/val_0.jpg")
    shutil.copytree(tiny_sports10, tmp_path / "sound")
    damage(*bad)
    stop_after(Trainer(tiny_recipe(*options)), 7)
    for name in bad:
        shutil.copy(tmp_path / "sound" / name, tiny_sports10 / name)
    damage("Hockey/val_1.jpg")
    Trainer(tiny_recipe(*options), resume=True).train()
    lines = logged(tmp_path / "run")
    named = [line for line in lines if line.startswith("skipped: ")]
    assert [name for name in (*bad, "Hockey/val_1.jpg") for line in named if name in line] == [
        *bad,
        "Hockey/val_1.jpg",
    ]
    assert lines[-1] == "3 images could not be read: 1 of train and 2 of val (data.on_bad_image: skip)"


def test_an_image_that_is_met_right_before_a_stop_is_named_and_counted(
    tiny_recipe, damage, tmp_path, stop_after
):
    trainer = Trainer(tiny_recipe("data.on_bad_image=skip"))
    damage(trainer.train_split.filenames[trainer.parts.batches(0)[0][0]])
    stop_after(trainer, 1)
    assert sum(line.startswith("skipped: ") for line in logged(tmp_path / "run")) == 1
    state = read_checkpoint(tmp_path / "run" / "latest.safetensors").state
    assert [len(rows) for rows in state.unreadable] == [1, 0]


def test_without_a_bad_image_skip_changes_nothing(tiny_recipe, tmp_path, same_run):
    for policy in ("error", "skip"):
        options = [f"data.on_bad_image={policy}", f"run.output_dir={tmp_path / policy}"]
        Trainer(tiny_recipe(*options)).train()
        assert not any("could not be read" in line for line in logged(tmp_path / policy))
    assert same_run(tmp_path / "error", tmp_path / "skip")


def test_images_that_are_left_out_do_not_count_in_the_accuracy(tiny_recipe, damage):
    """As if their rows were not in the table."""
    recipe = tiny_recipe("data.on_bad_image=skip")
    train, whole = build_train_split(recipe, 2), build_eval_split(recipe)
    network = build_method(recipe, 10).deployed()
    without = Evaluation(recipe, train, whole.take([row for row in range(20) if row not in (3, 16)]))
    expected = without.measure(network, 0, lambda: None)
    damage("Basketball/val_1.jpg", "Tennis/val_0.jpg")
    found = Evaluation(recipe, train, whole).measure(network, 0, lambda: None)
    for name in ("eval_accuracy", "eval_loss"):
        assert found[name] == pytest.approx(expected[name], rel=1e-5)
    assert sorted(whole.unreadable) == [3, 16]


def test_training_images_that_are_bad_do_not_count_in_the_accuracy_on_them(tiny_recipe, damage):
    recipe = tiny_recipe("data.on_bad_image=skip")
    train, val = build_train_split(recipe, 2), build_eval_split(recipe)
    network = build_method(recipe, 10).deployed()
    evaluation = Evaluation(recipe, train, val)
    sound = evaluation.train_rows[2:]
    first = [train.filenames[row] for row in evaluation.train_rows[:2]]
    for representation in (False, True):
        evaluation.representation, evaluation.train_rows = representation, sound
        expected = evaluation.measure(network, 0, lambda: None)
        damage(*first)
        evaluation.train_rows = np.concatenate([[train.filenames.index(name) for name in first], sound])
        assert evaluation.measure(network, 0, lambda: None) == pytest.approx(expected, rel=1e-5)
        assert set(train.unreadable) == {train.filenames.index(name) for name in first}


def test_a_split_of_which_nothing_can_be_read_is_an_error(tiny_recipe, tiny_sports10):
    for file in tiny_sports10.glob("*/val_*.jpg"):
        file.write_bytes(b"")
    recipe = tiny_recipe("data.on_bad_image=skip")
    evaluation = Evaluation(recipe, build_train_split(recipe, 2), build_eval_split(recipe))
    with pytest.raises(UserError, match="none of the 20 images can be read"):
        evaluation.measure(build_method(recipe, 10).deployed(), 0, lambda: None)


def test_features_of_bad_images_are_left_out(tiny_recipe, damage, tmp_path, capsys):
    recipe = tiny_recipe("data.on_bad_image=skip")
    recipe.data.classes = None
    network = build_method(recipe, 10).deployed()
    whole, labels = features_of_split(
        network, build_eval_split(recipe), tmp_path / "whole.safetensors", recipe
    )
    damage("Basketball/val_0.jpg")
    left, kept = features_of_split(network, build_eval_split(recipe), tmp_path / "left.safetensors", recipe)
    np.testing.assert_allclose(left, np.delete(whole, 2, axis=0), atol=1e-6)
    assert kept.tolist() == np.delete(labels, 2).tolist()
    assert "1 image could not be read: 1 of val (data.on_bad_image: skip)" in capsys.readouterr().out


def test_eval_counts_what_it_could_read_and_names_the_rest(trained_run, tmp_path, monkeypatch, capsys):
    data = shutil.copytree(trained_run.parent / "Sports10", tmp_path / "Sports10")
    (data / "Tennis/val_1.jpg").write_bytes(b"")
    arguments = ["--weights", trained_run / "best_model.pdparams", "--output", tmp_path / "eval"]
    arguments += ["-o", f"data.root={data}"]

    def evaluate(*more):
        monkeypatch.setattr(sys, "argv", [EVAL, *map(str, arguments), *more])
        return runpy.run_path(EVAL)["main"]()

    with pytest.raises(UserError, match=r"val_1\.jpg is empty .*-o data\.on_bad_image=skip"):
        evaluate()
    assert evaluate("-o", "data.on_bad_image=skip") == 0
    said = capsys.readouterr().out
    assert f"skipped: {data}/Tennis/val_1.jpg is empty (zero bytes)" in said
    assert "1 image could not be read: 1 of val" in said
    assert json.loads((tmp_path / "eval" / "metrics.json").read_text())["images"] == 19


@pytest.mark.slow
def test_two_ranks_use_the_images_that_one_process_uses_and_name_those_of_both(tiny_recipe, damage, tmp_path):
    """Bad ones in the parts of both ranks; then an error, which ends and saves both."""
    damage("Tennis/train_1.jpg", "Hockey/train_3.jpg", "Soccer/train_0.jpg", "Tennis/val_0.jpg")
    runs = {}
    for where in ("one", "two"):
        recipe = tiny_recipe(
            "data.on_bad_image=skip", "optim.learning_rate=0.001", f"run.output_dir={tmp_path / where}"
        )
        recipe.save(tmp_path / f"{where}.yaml")
        runs[where] = [str(TRAIN), "-c", str(tmp_path / f"{where}.yaml")]
    launch = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--backend", "gloo"]
    launch += ["--log_dir", str(tmp_path / "log")]
    for command in ([*runs["one"]], [*launch, *runs["two"]]):
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr[-2000:]
    one, two = (pd.read_csv(tmp_path / where / "metrics.csv") for where in ("one", "two"))
    np.testing.assert_allclose(one["train_loss"], two["train_loss"], rtol=1e-4)
    lines = logged(tmp_path / "two")
    assert sorted(line for line in lines if line.startswith("skipped: ")) == sorted(
        line for line in logged(tmp_path / "one") if line.startswith("skipped: ")
    )
    assert "4 images could not be read: 3 of train and 1 of val (data.on_bad_image: skip)" in lines

    strict = [*runs["two"], "-o", "data.on_bad_image=error", "-o", f"run.output_dir={tmp_path / 'strict'}"]
    done = subprocess.run([sys.executable, *launch, *strict], capture_output=True, text=True, timeout=280)
    assert done.returncode != 0
    last = logged(tmp_path / "strict")[-1]
    assert last.startswith("error: ") and "truncated JPEG" in last and "saved after step" in last
