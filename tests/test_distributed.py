"""Two processes that share each batch: they find what one finds, and make one run."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import paddle
import pandas as pd
import pytest
from paddle import nn

from ppcds.config import load_recipe
from ppcds.distributed import (
    gather_rows,
    join_ranks,
    largest,
    num_ranks,
    once_for_all,
    raise_together,
    rank,
    read_together,
    together,
)
from ppcds.engine.deployed import load_deployed
from ppcds.engine.sharing import share_batches
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.models.sync_batch_norm import synchronise_batch_norm
from ppcds.weights import load_weights, read_metadata

TESTS = Path(__file__).parent
SMALL = [
    "data.layout=csv",
    "data.size=[32, 32]",
    "data.batch_size=8",
    "model.width=2",
    "run.log_steps=1",
    "optim.learning_rate=0.001",
]


def launched(log_dir, script, *arguments):
    """The command line of two processes on a processor; each sees one core, as on one that is shared."""
    options = ["--nproc_per_node", "2", "--backend", "gloo", "--log_dir", str(log_dir)]
    return [sys.executable, "-m", "paddle.distributed.launch", *options, str(script), *map(str, arguments)]


def run(command, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=580, env=environment, **options)


def train(root, folder, *arguments):
    """The command line of tools/train.py under two ranks; logs of the launcher go beside the folder."""
    overrides = [*SMALL, f"data.root={root}", f"run.output_dir={folder}", "optim.epochs=3"]
    given = [part for override in overrides for part in ("-o", override)]
    script = TESTS.parent / "tools" / "train.py"
    return launched(folder.with_suffix(".log"), script, "-c", "demo", *given, *arguments)


def process_ids(launcher) -> dict[int, int]:
    """{rank: process} of a launched run of two, from what it prints."""
    found = {}
    for line in launcher.stdout:
        told = re.match(r"launch proc_id:(\d+) idx:(\d)", line)
        if told:
            found[int(told[2])] = int(told[1])
        if len(found) == 2:
            break
    return found


def wait_for(log, line):
    until = time.monotonic() + 120
    while not (log.is_file() and line in log.read_text()):
        assert time.monotonic() < until, f"{line!r} never came"
        time.sleep(0.02)


def shared_batches():
    spec = spec_from_file_location("shared_batches", TESTS / "shared_batches.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def root(trained_run):
    """A folder of forty training and nineteen validation images, which no two ranks have equal parts of."""
    folder = shutil.copytree(trained_run.parent / "Sports10", trained_run.parent / "nineteen")
    table = folder / "val_split.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    return folder


@pytest.fixture(scope="module")
def whole_run(root, tmp_path_factory):
    """The folder of a finished run of two ranks."""
    folder = tmp_path_factory.mktemp("ranks") / "whole"
    done = run(train(root, folder))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


def assert_same_as_one_process(teacher, tmp_path, which):
    script = shared_batches()
    done = run(launched(tmp_path / "log", TESTS / "shared_batches.py", teacher, tmp_path / "found", which))
    assert done.returncode == 0, done.stdout[-2000:]
    alone = script.results(str(teacher), which)
    ranks = [dict(np.load(f"{tmp_path / 'found'}.{number}.npz")) for number in (0, 1)]
    for key, expected in alone.items():
        np.testing.assert_array_equal(ranks[0][key], ranks[1][key], err_msg=key)
        # Single precision can tell of losses alone: beside the kink of a ReLU a rounding decides, so that one
        # process with its rows in another order differs from itself by 1e-2 of the gradient.
        scale = max(1.0, np.abs(expected).max(initial=0))
        bound = 1e-5 if "float32" in key else 1e-9 if "weight " not in key else 1e-6
        assert np.abs(ranks[0][key] - expected).max(initial=0) <= bound * scale, key
    assert {key for key in ranks[0] if not key.startswith("gathered")} == set(alone)
    assert sum("gradient" in key for key in alone) > 10 * len(script.chosen(which))
    return ranks


def test_two_ranks_take_the_losses_and_gradients_of_one_process_and_go_the_same_way(teacher_run, tmp_path):
    ranks = assert_same_as_one_process(teacher_run, tmp_path, "five")
    rows = np.arange(12.0, dtype="float32").reshape(4, 3)
    for number, found in enumerate(ranks):
        np.testing.assert_array_equal(found["gathered rows"], rows)
        np.testing.assert_array_equal(found["gathered numbers"], [3, 1, 4, 1])
        own = rows[2 * number : 2 * number + 2]
        np.testing.assert_allclose(found[f"gathered gradient {number}"], 2 * 3 * own**2)  # times the ranks


@pytest.mark.slow
def test_two_ranks_of_64_equal_one_process_of_128_for_every_method(teacher_run, tmp_path):
    assert_same_as_one_process(teacher_run, tmp_path, "all")


def test_two_ranks_make_one_run_that_learns_what_one_process_learns(root, whole_run, tmp_path):
    recipe = load_recipe("demo", [*SMALL, f"data.root={root}", f"run.output_dir={tmp_path / 'run'}"])
    recipe.optim.epochs = 1
    Trainer(recipe).train()
    alone, shared = (pd.read_csv(folder / "metrics.csv").iloc[0] for folder in (tmp_path / "run", whole_run))
    assert alone.index.tolist() == shared.index.tolist()
    terms = [name for name in shared.index if name.startswith(("train_loss", "train_c"))]
    np.testing.assert_allclose(shared[terms], alone[terms], rtol=1e-3)  # five steps in single precision
    assert shared["images_seen"] == 80
    assert {file.name for file in whole_run.iterdir()} == {
        *("recipe.yaml", "train.log", "metrics.csv", "vdl"),
        *("latest.safetensors", "best_model.pdparams", "last_model.pdparams"),
    }
    assert len(list((whole_run / "vdl").iterdir())) == 1
    log = (whole_run / "train.log").read_text()
    assert log.count("batch 8: 2 ranks x 4") == 1 and log.count("epoch 1/3 step 1/5") == 1
    second = (whole_run.with_suffix(".log") / "workerlog.1").read_text()
    assert "epoch" not in second and "Done" not in second
    one = Trainer(recipe)
    assert list(one.method.deployed().state_dict()) == list(load_weights(whole_run / "best_model.pdparams"))


def test_two_ranks_count_each_of_19_validation_images_once(whole_run):
    recipe = load_recipe(str(whole_run / "recipe.yaml"))
    recipe.run.output_dir = str(whole_run.parent / "untouched")
    evaluation = Trainer(recipe).evaluation
    network = load_deployed(recipe, 10, whole_run / "last_model.pdparams")
    alone = evaluation.measure(network, 2, check=lambda: None)
    last = pd.read_csv(whole_run / "metrics.csv").iloc[-1]
    for name, value in alone.items():
        assert last[name] == pytest.approx(value, rel=1e-5), name
    assert last["eval_accuracy"] * 19 == pytest.approx(round(last["eval_accuracy"] * 19))


@pytest.mark.slow
def test_a_signal_to_one_rank_stops_both_and_they_go_on_to_the_same_bytes(root, whole_run, tmp_path):
    folder = tmp_path / "run"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(train(root, folder), env={**os.environ, "OMP_NUM_THREADS": "1"}, **pipes)
    ranks = process_ids(process)
    wait_for(folder / "train.log", "epoch 2/3 step 1/5")
    os.kill(ranks[1], signal.SIGTERM)
    said = process.stdout.read()
    assert process.wait(timeout=120) == 1  # the launcher's status; that of the ranks is 143
    assert "Go on with: python -m paddle.distributed.launch ... tools/train.py --resume" in said
    state = json.loads(read_metadata(folder / "latest.safetensors")["state"])
    assert state["ranks"] == 2 and (0, 5) < (state["epoch"], state["step"]) < (2, 5)
    with pytest.raises(UserError, match=r"the run began with 2 rank\(s\) and this is 1"):
        Trainer(load_recipe(str(folder / "recipe.yaml")), resume=True)

    assert run(train(root, folder, "--resume")).returncode == 0
    for name in ("best_model.pdparams", "last_model.pdparams", "metrics.csv"):
        assert (folder / name).read_bytes() == (whole_run / name).read_bytes(), name
    ours, theirs = (load_weights(path / "latest.safetensors") for path in (folder, whole_run))
    assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)


@pytest.mark.slow
def test_a_rank_that_is_killed_ends_a_launched_run_within_a_minute(root, tmp_path):
    folder = tmp_path / "run"
    environment, pipes = {**os.environ, "OMP_NUM_THREADS": "1"}, {"stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(train(root, folder, "-o", "optim.epochs=500"), env=environment, **pipes)
    ranks = process_ids(process)
    wait_for(folder / "train.log", "epoch 2/500 step 1/5")
    os.kill(ranks[1], signal.SIGKILL)
    killed = time.monotonic()
    process.stdout.read()
    assert process.wait(timeout=60) == 1 and time.monotonic() - killed < 60
    said = (folder.with_suffix(".log") / "workerlog.0").read_text().splitlines()[-1]
    assert said.startswith("error: rank 1 has ended") and "--resume goes on from the last checkpoint" in said
    assert run(train(root, folder, "--resume", "-o", "optim.epochs=3")).returncode == 0


def test_a_mistake_that_one_rank_meets_ends_both_with_its_message(tiny_sports10, tmp_path):
    for picture in tiny_sports10.glob("*/val_1.jpg"):
        picture.write_bytes(b"")
    folder = tmp_path / "run"
    done = run(train(tiny_sports10, folder, "-o", "data.layout=sports10"))
    assert done.returncode == 1
    for number in (0, 1):
        said = (folder.with_suffix(".log") / f"workerlog.{number}").read_text()
        assert re.search(r"error: .*val_1\.jpg", said), said[-500:]
        assert "Traceback" not in said


def test_a_folder_that_the_first_rank_cannot_make_ends_both_with_its_message(root, tmp_path):
    folder = tmp_path / "run"
    folder.write_text("a file")
    assert run(train(root, folder)).returncode == 1
    for number in (0, 1):
        said = (folder.with_suffix(".log") / f"workerlog.{number}").read_text()
        assert f"error: run.output_dir {folder}: File exists" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("size", "rows", "said"),
    [
        (7, 7, "data.batch_size 7 cannot be shared equally by 2 ranks"),
        (8, 3, "leaves a last batch of 3 images"),
    ],
)
def test_a_batch_that_cannot_be_shared_is_refused_in_words(monkeypatch, size, rows, said):
    monkeypatch.setattr("ppcds.engine.sharing.num_ranks", lambda: 2)
    recipe = load_recipe("demo", [f"data.batch_size={size}"])
    with pytest.raises(UserError, match=said):
        share_batches(recipe, nn.Identity(), [list(range(size)), list(range(rows))])


def test_a_device_that_several_ranks_would_share_is_refused(monkeypatch):
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")
    with pytest.raises(UserError, match="--device gpu:0: 2 processes cannot share it: leave it out"):
        join_ranks("gpu:0")


def test_one_process_is_rank_0_of_1_and_gathers_nothing():
    rows = paddle.ones([2, 3])
    assert (num_ranks(), rank(), largest(3)) == (1, 0, 3) and gather_rows(rows) is rows
    assert list(read_together(iter([1, 2]))) == [1, 2]
    raise_together(None)
    with pytest.raises(UserError, match="broken"):
        raise_together(UserError("broken"))
    assert together(lambda: 3) == 3
    with pytest.raises(KeyError):
        once_for_all(lambda: {}["missing"])


def test_synchronised_batch_norm_has_the_same_weights_under_the_same_names():
    network = nn.Sequential(nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4), nn.Sequential(nn.BatchNorm1D(4)))
    network.add_sublayer("unshifted", nn.BatchNorm1D(4, momentum=1.0, bias_attr=False))
    before, names = {id(p) for p in network.parameters()}, list(network.state_dict())
    synchronise_batch_norm(network)
    assert [type(layer).__name__ for layer in network.sublayers()].count("ProcessorSyncBatchNorm") == 3
    assert list(network.state_dict()) == names and {id(p) for p in network.parameters()} == before
    assert network.unshifted._momentum == 1.0
