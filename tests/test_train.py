"""tools/train.py as its user runs it."""

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from ppcds.weights import load_weights, save_weights

TOOLS = Path(__file__).parents[1] / "tools"
SMALL = ["-c", "demo", "-o", "data.layout=sports10", "-o", "data.size=[32, 32]", "-o", "data.batch_size=8"]
TINY = ["-o", "model.width=2", "-o", "optim.epochs=3", "-o", "run.log_steps=1"]


def command(root, run, *arguments):
    data = ["-o", f"data.root={root}", "-o", f"run.output_dir={run}"]
    return [sys.executable, str(TOOLS / "train.py"), *SMALL, *TINY, *data, *arguments]


def train(root, run, *arguments):
    return subprocess.run(command(root, run, *arguments), capture_output=True, text=True, timeout=240)


def test_help_and_mistakes_in_arguments_do_not_load_paddle():
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print('loaded' if 'paddle' in sys.modules else 'not loaded')"
    )
    for arguments, said in ((["--help"], "usage"), (["-o", "optim.epoch=3"], "did you mean 'epochs'?")):
        done = subprocess.run(
            [sys.executable, "-c", code, str(TOOLS / "train.py"), *arguments], capture_output=True, text=True
        )
        assert said in done.stdout + done.stderr
        assert done.stdout.split("\n")[-2] == "not loaded"


def test_without_data_the_default_recipe_says_how_to_get_them_in_four_lines(tmp_path):
    done = subprocess.run(
        [sys.executable, str(TOOLS / "train.py")], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 4
    assert "prepare_data.py Sports10.zip" in done.stderr and "train.py -c demo" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_killed_run_resumes_to_the_same_weights_byte_for_byte(tiny_sports10, tmp_path, epoch):
    assert train(tiny_sports10, tmp_path / "whole").returncode == 0
    run = tmp_path / "killed"
    victim = subprocess.Popen(command(tiny_sports10, run), stdout=subprocess.PIPE, text=True)
    for line in victim.stdout:
        if line.startswith(f"epoch {epoch}/3 step 3/5"):  # in the middle of it
            os.kill(victim.pid, signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    resumed = train(tiny_sports10, run, "--resume")
    assert resumed.returncode == 0
    assert f"Going on after step 0 of epoch {epoch}" in resumed.stdout
    for name in ("best_model.pdparams", "metrics.csv"):
        assert (run / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    final, whole = (load_weights(folder / "latest.safetensors") for folder in (run, tmp_path / "whole"))
    assert all(np.array_equal(final[name], whole[name]) for name in whole)


def test_sigterm_saves_and_says_how_to_go_on(tiny_sports10, tmp_path):
    run = tmp_path / "run"
    process = subprocess.Popen(
        command(tiny_sports10, run, "-o", "optim.epochs=500"), stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if "step 2/5" in line:
            process.terminate()
            break
    said = process.stdout.read()
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert f"Go on with: python tools/train.py --resume {run}" in said
    short = [sys.executable, str(TOOLS / "train.py"), "--resume", str(run), "-o", "optim.epochs=2"]
    done = subprocess.run(short, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "Done: validation accuracy" in done.stdout


def break_image(root, content):
    (root / "Hockey" / "train_1.jpg").write_bytes(content)


def missing_columns(root):
    (root / "train_split.csv").write_text("file,label\nHockey/train_0.jpg,Hockey\n")


def unknown_class(root):
    with open(root / "train_split.csv", "a") as file:
        file.write("Hockey/train_0.jpg,Hockye\n")


def path_outside(root):
    with open(root / "train_split.csv", "a") as file:
        file.write("../secret.jpg,Hockey\n")


def missing_image(root):
    (root / "Tennis" / "train_2.jpg").unlink()


MISTAKES = {
    "no data": (lambda root: (root / "train_split.csv").unlink(), "there is no"),
    "wrong columns": (missing_columns, "train_split.csv"),
    "empty CSV": (lambda root: (root / "train_split.csv").write_text(""), "train_split.csv"),
    "unknown class": (
        unknown_class,
        "csv line 42: unknown class 'Hockye', did you mean 'Hockey'?",
    ),
    "path outside": (path_outside, "train_split.csv line 42"),
    "missing image": (missing_image, "'Tennis/train_2.jpg' not found"),
    "zero bytes": (lambda root: break_image(root, b""), "train_1.jpg"),
    "text": (lambda root: break_image(root, b"not a picture"), "train_1.jpg"),
    "truncated JPEG": (lambda root: break_image(root, jpeg()[:-200]), "train_1.jpg"),
}


def jpeg():
    picture = np.random.RandomState(0).randint(0, 255, (60, 100, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()


@pytest.fixture
def main(monkeypatch):
    """main(arguments) -> what tools/train.py exits with, in this process."""

    def call(arguments):
        monkeypatch.setattr(sys, "argv", [str(TOOLS / "train.py"), *arguments])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOOLS / "train.py"), run_name="__main__")
        return end.value.code

    return call


@pytest.mark.parametrize("name", MISTAKES)
def test_bad_data_end_in_one_error_and_leave_nothing_half_written(main, tiny_sports10, tmp_path, name):
    damage, said = MISTAKES[name]
    damage(tiny_sports10)
    error = main(command(tiny_sports10, tmp_path / "run")[2:])
    assert isinstance(error, str) and error.startswith("error: ") and said in error
    assert not list((tmp_path / "run").glob("*.pdparams")) + list((tmp_path / "run").glob("metrics.csv"))
    assert not list(tmp_path.rglob("*.tmp"))


BAD_ARGUMENTS = {
    "unknown key": (["-o", "data.bach_size=4"], "data.bach_size: unknown key, did you mean 'batch_size'?"),
    "wrong type": (["-o", "data.batch_size=four"], "data.batch_size: 'four' should be a valid integer"),
    "unknown recipe": (["-c", "demmo"], "did you mean 'demo'?"),
    "batch too large": (
        ["-o", "data.batch_size=41"],
        "batch_size 41 is larger than the 40 training images",
    ),
    "nothing to resume": (["--resume"], "is not a run that can be resumed"),
    "no such run": (["--resume", "nowhere"], "nowhere is not a run that can be resumed"),
    "no such device": (["--device", "toaster"], "--device toaster"),
    "no such weights": (["-o", "model.pretrained=a.pdparams"], "a.pdparams: no such file"),
    "unknown transform": (["-o", "views.eval=[ToArry]"], "views.eval[0]: unknown transform 'ToArry'"),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_bad_arguments_end_in_one_line_and_leave_nothing(main, tiny_sports10, tmp_path, name):
    arguments, said = BAD_ARGUMENTS[name]
    error = main([*command(tiny_sports10, tmp_path / "run")[2:], *arguments])
    assert isinstance(error, str) and said in error and "\n" not in error
    assert not (tmp_path / "run").exists()


def test_weights_of_another_network_are_refused(main, tiny_sports10, tmp_path):
    save_weights({"fc.weight": np.zeros((3, 10), "float32")}, tmp_path / "other.pdparams")
    pretrained = ["-o", f"model.pretrained={tmp_path / 'other.pdparams'}"]
    error = main([*command(tiny_sports10, tmp_path / "run")[2:], *pretrained])
    assert "other.pdparams: weights of another network" in error
    assert not (tmp_path / "run").exists()


def test_the_log_of_a_run_has_a_line_a_step_with_its_costs(tiny_sports10, tmp_path):
    began = time.strftime("%Y-%m-%d")
    assert train(tiny_sports10, tmp_path / "run", "-o", "optim.epochs=1").returncode == 0
    lines = (tmp_path / "run" / "train.log").read_text().splitlines()
    steps = [line for line in lines if " step " in line]
    assert len(steps) == 5 and lines[0] >= began
    for word in (
        "loss ",
        "contrastive_stage4 ",
        "lr 0.05",
        "reader_cost ",
        "batch_cost ",
        "images/s",
        "eta ",
    ):
        assert all(word in line for line in steps), word


SIMCLR = ["method.name=simclr", "model.head={widths: [8]}", "optim.epochs=1"]


@pytest.mark.parametrize(
    ("overrides", "measure", "tool"),
    [
        (
            ["method.name=supervised", "optim.epochs=1"],
            "validation accuracy",
            "eval.py --weights {}/best_model",
        ),
        (SIMCLR, "validation nearest-neighbour accuracy", "probe.py --weights {}/last_model"),
        (
            [*SIMCLR, "data.hold_back=0.25"],
            "held-back nearest-neighbour accuracy",
            "probe.py --weights {}/last_model",
        ),
    ],
)
def test_the_last_lines_name_what_was_measured_and_a_tool_that_takes_the_weights(
    main, tiny_sports10, tmp_path, capsys, overrides, measure, tool
):
    run = tmp_path / "run"
    given = [part for override in overrides for part in ("-o", override)]
    assert main([*command(tiny_sports10, run)[2:], *given]) == 0
    said = capsys.readouterr().out
    assert f"Done: {measure} 0." in said and f"python tools/{tool.format(run)}.pdparams" in said


def test_the_best_accuracy_is_that_of_the_best_model_whatever_it_was_chosen_by(
    main, tiny_sports10, tmp_path, capsys
):
    run = tmp_path / "run"
    ten = ["-o", "run.ten_batch_accuracy=true", "-o", "run.best_by=eval_accuracy_ten_batches"]
    assert main([*command(tiny_sports10, run)[2:], *ten]) == 0
    metrics = pd.read_csv(run / "metrics.csv")
    best = metrics["eval_accuracy"][metrics["eval_accuracy_ten_batches"].idxmax()]
    assert f"after the last epoch, best {best:.4f}." in capsys.readouterr().out
