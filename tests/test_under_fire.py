"""Runs that are killed at random instants and resumed until they end, as nobody had disturbed them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("under_fire.py")


@pytest.fixture
def under_fire(trained_run, teacher_run, tmp_path):
    """under_fire(method, runs, seed, *overrides, ranks=1): what under_fire.py finds of so many runs."""

    def call(method, runs, seed, *overrides, ranks=1):
        wanted = {"method": method, "overrides": overrides, "runs": runs, "seed": seed, "ranks": ranks}
        folders = map(str, (trained_run.parent / "Sports10", teacher_run, tmp_path))
        command = [sys.executable, str(SCRIPT), *folders, json.dumps(wanted)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
        assert done.returncode == 0, done.stderr[-3000:]
        found = json.loads(done.stdout.splitlines()[-1])
        print(method, *overrides, f"ranks {ranks}", found)
        return found

    return call


def assert_undisturbed(found):
    """Weights, state, best and last model, metrics and curves; and some of the runs were killed."""
    assert found["differing"] == []
    assert len(found["fell"]) >= found["runs"] / 2


def test_runs_that_are_killed_end_as_the_undisturbed_one(under_fire):
    assert_undisturbed(under_fire("cds", 2, 1))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cds", "moco", "byol", "distillation"])
def test_twenty_runs_of_each_method_that_are_killed_end_as_the_undisturbed_one(under_fire, method):
    found = under_fire(method, 20, 7)
    assert_undisturbed(found)
    places = {place.split(": ")[-1] for place in found["fell"]}
    assert {"step", "evaluation"} <= places and places & {"half a file", "before a rename", "after a rename"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ["data.num_workers=2"],
        ["run.amp=fp16"],
        ["data.label_fraction=0.5", "data.labelled_per_batch=4"],
        ["run.keep_checkpoints=2"],
    ],
    ids=" ".join,
)
def test_so_do_runs_with_more_to_keep(under_fire, overrides):
    assert_undisturbed(under_fire("cds", 5, 3, *overrides))


@pytest.mark.slow
def test_so_do_runs_of_two_ranks(under_fire):
    assert_undisturbed(under_fire("cds", 5, 2, ranks=2))
