"""What becomes of a launched run of two ranks when one of them is stopped, killed or meets a mistake."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
from launched_ranks import process_ids, run, train, wait_for

from ppcds.config import load_recipe
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.weights import load_weights, read_metadata


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
