"""Several runs in one process: skipped, resumed, timed."""

import json
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ppcds.config import RECIPES, load_recipe
from ppcds.engine import series
from ppcds.engine.plan import Step
from ppcds.engine.series import (
    check_untrained,
    epochs_done,
    is_finished,
    read_seconds,
    run_chain,
    run_series,
)
from ppcds.engine.stop import Stopped
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.methods.supervised import Supervised
from ppcds.weights import load_weights


@pytest.fixture
def two_runs(tiny_recipe, tmp_path):
    """make(*overrides): recipes of two runs of one epoch, in tmp_path/a and tmp_path/b, of seeds 0 and 1."""

    def make(*overrides):
        short = ["method.name=supervised", "optim.epochs=1", *overrides]
        return [
            tiny_recipe(*short, f"run.seed={seed}", f"run.output_dir={tmp_path / name}")
            for seed, name in enumerate("ab")
        ]

    return make


@pytest.fixture
def stop_in_step(monkeypatch):
    """stop(n, signal): the n-th step from now on is followed by that signal."""

    def stop(number, signum=signal.SIGTERM):
        steps = []

        def count_then_stop(self):
            steps.append(1)
            if len(steps) == number:
                signal.raise_signal(signum)

        monkeypatch.setattr(Supervised, "after_step", count_then_stop)

    return stop


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_run_of_a_series_is_the_same_as_that_run_alone(two_runs, tiny_recipe, tmp_path):
    run_series(two_runs())
    alone = tiny_recipe("method.name=supervised", "optim.epochs=1", "run.seed=1")
    Trainer(alone).train()
    found, expected = (load_weights(tmp_path / name / "latest.safetensors") for name in ("b", "run"))
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert (tmp_path / "b" / "metrics.csv").read_bytes() == (tmp_path / "run" / "metrics.csv").read_bytes()


def test_finished_runs_are_skipped_and_left_as_they_are(two_runs, tmp_path, capsys):
    run_series(two_runs())
    before = files(tmp_path / "a"), files(tmp_path / "b")
    capsys.readouterr()
    run_series(two_runs())
    assert [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()] == ["finished", "finished"]
    assert (files(tmp_path / "a"), files(tmp_path / "b")) == before


def test_a_run_that_fails_does_not_keep_the_others_from_being_trained(
    two_runs, tmp_path, monkeypatch, capsys
):
    last, steps = two_runs()[0], []
    last.run.output_dir, last.run.seed = str(tmp_path / "c"), 2

    def fail_in_the_first_two_runs(self):
        steps.append(1)
        if len(steps) in (2, 4):
            raise [UserError("the loss is not finite"), KeyError("a bug")][len(steps) // 4]

    monkeypatch.setattr(Supervised, "after_step", fail_in_the_first_two_runs)
    failed = run_series([*two_runs(), last])
    wanted = {"a": "the loss is not finite", "b": "KeyError: 'a bug'"}
    assert failed == {str(tmp_path / name): said for name, said in wanted.items()}
    assert is_finished(last) and "a: failed: the loss is not finite" in capsys.readouterr().out
    monkeypatch.undo()
    assert run_series([*two_runs(), last]) == {} and all(map(is_finished, two_runs()))


def test_a_chain_ends_with_the_run_that_fails_since_the_next_would_start_from_it(
    two_runs, tmp_path, stop_in_step, monkeypatch
):
    def fail(self):
        raise UserError("the loss is not finite")

    monkeypatch.setattr(Supervised, "after_step", fail)
    with pytest.raises(UserError, match="the loss is not finite"):
        run_chain((Step("a", "demo"), Step("b", "demo", starts_from="model.pretrained")), two_runs())
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_series_goes_on_where_it_was_and_ends_in_the_same_weights(
    two_runs, stop_in_step, monkeypatch, tmp_path, capsys, signum
):
    stop_in_step(7, signum)  # the second step of the second run
    with pytest.raises(Stopped) as stopped:
        run_series(two_runs())
    assert stopped.value.signum == signum
    assert "Stopped in run 2 of 2: the same command goes on from here." in capsys.readouterr().out
    assert is_finished(two_runs()[0]) and epochs_done(two_runs()[1]) == 0
    monkeypatch.undo()
    run_series(two_runs())
    said = capsys.readouterr().out
    assert "a: finished" in said and "b: goes on after epoch 0" in said and "after step 2" in said
    whole = two_runs()[1]
    whole.run.output_dir = str(tmp_path / "whole")
    Trainer(whole).train()
    assert (tmp_path / "b" / "metrics.csv").read_bytes() == (tmp_path / "whole" / "metrics.csv").read_bytes()


def test_ctrl_c_between_two_runs_ends_the_series_too(two_runs, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(series, "TimedTrainer", interrupted)
    with pytest.raises(Stopped, match="SIGINT"):
        run_series(two_runs())
    assert "Stopped in run 1 of 2" in capsys.readouterr().out


@pytest.mark.parametrize("change", ["optim.learning_rate=0.2", "method.views=2"])
def test_a_changed_recipe_is_told_before_anything_is_trained(two_runs, tmp_path, change):
    run_series(two_runs(change)[1:])  # finished; method.views is left to its default in what follows
    key = change.split("=")[0]
    with pytest.raises(UserError, match=f"b/latest.safetensors: the recipe has changed since, in {key} "):
        run_series(two_runs())
    assert not (tmp_path / "a").exists()


TEACHER = "method.teacher_weights=nowhere/last_model.pdparams"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["method.vews=2"], "method.vews: unknown key, did you mean 'views'"),
        (["model.name=resnet19"], "unknown backbone 'resnet19'"),
        (["method.name=simclr"], "model.head: this method needs a projection head"),
        (["method.views=3"], r"views.train has 2 view\(s\), method supervised needs 3"),
        (["data.layout=sport10"], "data.layout: no layout 'sport10', did you mean 'sports10'"),
        (["views.train=[[ToArry]]"], r"views.train\[0\]\[0\]: unknown transform 'ToArry'"),
        (["views.eval=[{Cutout: {n_holes: 1, length: 2}}]"], "views.eval: needs ToArray exactly once"),
        (["model.pretrained=nowhere/w.pdparams"], "model.pretrained: there is no nowhere/w.pdparams, and no"),
        (["method.name=distillation", TEACHER], "method.teacher_weights: there is no nowhere/last_model"),
    ],
)
def test_a_mistake_in_the_last_recipe_is_told_before_the_first_is_trained(
    two_runs, tmp_path, tiny_recipe, changes, said
):
    last = tiny_recipe("method.name=supervised", *changes)
    with pytest.raises(UserError, match=said):
        run_series([*two_runs(), last])
    assert not (tmp_path / "a").exists()


def test_weights_that_only_a_later_run_makes_are_missed_before_training(two_runs, tmp_path):
    first, second = two_runs()
    first.model.pretrained = str(tmp_path / "b" / "last_model.pdparams")
    with pytest.raises(UserError, match="model.pretrained: there is no .*b/last_model.pdparams"):
        run_series([first, second])
    assert not (tmp_path / "b").exists()


def test_weights_that_an_earlier_run_makes_are_waited_for(two_runs, tiny_recipe, tmp_path):
    first, second = two_runs()
    second.model.pretrained = str(tmp_path / "x" / ".." / "a" / "best_model.pdparams")  # the same file
    (tmp_path / "x").mkdir()
    taught = [f"method.teacher_weights={tmp_path}/b/last_model.pdparams", "optim.epochs=1"]
    run_series([first, second, tiny_recipe("method.name=distillation", *taught)])
    assert "starts from weights of" in (tmp_path / "b" / "train.log").read_text()
    assert is_finished(two_runs()[0]) and (tmp_path / "run" / "last_model.pdparams").is_file()


def test_what_a_begun_run_started_from_may_be_gone(two_runs):
    begun = two_runs("model.pretrained=nowhere.pdparams")[0]
    check_untrained(begun, begun=True)
    with pytest.raises(UserError, match="there is no nowhere.pdparams"):
        check_untrained(begun)


@pytest.mark.parametrize("name", [path.stem for path in RECIPES.glob("*.yaml")])
def test_the_shipped_recipes_have_nothing_to_be_told(name, tiny_sports10):
    recipe = load_recipe(name, [f"data.root={tiny_sports10}"])  # as wide as they are: nothing is allocated
    from_others = [recipe.model.pretrained, recipe.method.options().get("teacher_weights")]
    check_untrained(recipe, to_come=[Path(file) for file in from_others if file])


def test_two_runs_in_one_folder_are_refused(two_runs):
    with pytest.raises(UserError, match="each needs a folder of its own"):
        run_series([two_runs()[0], two_runs()[0]])


def test_more_epochs_go_on_from_a_finished_run_and_fewer_are_refused(two_runs, tmp_path):
    steady = "optim.schedule.name=constant"
    run_series(two_runs("optim.epochs=2", steady)[:1])
    with pytest.raises(UserError, match="trained for 2 epochs, more than optim.epochs 1"):
        run_series(two_runs("optim.epochs=1", steady))
    run_series(two_runs("optim.epochs=3", steady)[:1])
    assert pd.read_csv(tmp_path / "a" / "metrics.csv")["epoch"].tolist() == [1, 2, 3]


def test_half_a_cosine_is_not_taken_for_a_finished_run_of_half_the_epochs(two_runs, stop_in_step):
    cosine = "optim.schedule.name=cosine"
    stop_in_step(6)  # the first step of the second epoch
    with pytest.raises(Stopped):
        run_series(two_runs("optim.epochs=2", cosine)[:1])
    with pytest.raises(UserError, match="has changed since, in optim.epochs"):
        is_finished(two_runs("optim.epochs=1", cosine)[0])


def test_weights_alone_are_not_taken_for_a_run(two_runs, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "latest.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="latest.safetensors"):
        run_series(two_runs())


class Clock:
    """A second passes each time it is asked."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        self.now += 1
        return self.now


def test_time_adds_up_over_a_stop_and_is_in_no_metrics(two_runs, stop_in_step, monkeypatch, tmp_path):
    monkeypatch.setattr(series, "time", Clock())
    stop_in_step(2)
    with pytest.raises(Stopped):
        run_series(two_runs()[:1])
    first = read_seconds(tmp_path / "a")
    monkeypatch.undo()
    monkeypatch.setattr(series, "time", Clock())
    run_series(two_runs()[:1])
    saves = 2  # before and after the evaluation; each asks the clock, which was asked once at the start
    assert first == 2 and read_seconds(tmp_path / "a") == first + saves
    assert not [
        name for name in pd.read_csv(tmp_path / "a" / "metrics.csv") if "second" in name or "time" in name
    ]


def test_a_run_that_was_begun_without_a_clock_stays_untimed(two_runs, stop_in_step, monkeypatch, tmp_path):
    stop_in_step(2)
    with pytest.raises(Stopped):
        Trainer(two_runs()[0]).train()
    monkeypatch.undo()
    run_series(two_runs()[:1])
    assert read_seconds(tmp_path / "a") is None and not (tmp_path / "a" / "time.json").exists()


def test_a_damaged_time_is_named(tmp_path):
    for content in ("", "{}", "[1]", json.dumps({"seconds": None})):
        (tmp_path / "time.json").write_text(content)
        with pytest.raises(UserError, match="time.json: no time is written there"):
            read_seconds(tmp_path)


def test_a_step_that_began_from_weights_that_have_changed_since_is_refused(two_runs):
    steady = "optim.schedule.name=constant"
    steps = Step("a", "demo"), Step("b", "demo", starts_from="model.pretrained")
    run_chain(steps, two_runs(steady))
    with pytest.raises(UserError, match="b started from other weights than .*a will end with"):
        run_chain(steps, two_runs(steady, "optim.epochs=2"))


def test_a_step_that_starts_from_nothing_may_be_ahead_of_the_one_before(two_runs, capsys):
    run_series(two_runs()[1:])
    run_chain((Step("a", "demo"), Step("b", "demo")), two_runs())
    said = capsys.readouterr().out
    assert "a: begins" in said and "b: finished" in said
