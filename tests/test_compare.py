"""tools/compare.py as its user runs it."""

import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ppcds.errors import UserError
from ppcds.methods.supervised import Supervised

TOOL = str(Path(__file__).parents[1] / "tools" / "compare.py")


@pytest.fixture
def compare(tiny_sports10, tmp_path, monkeypatch):
    """compare(*arguments) -> exit status: two labels and two seeds, one epoch of the tiny data set."""
    data = ["data.layout=csv", f"data.root={tiny_sports10}", "data.size=[32, 32]", "data.batch_size=20"]
    changes = [*data, "model.width=2", "optim.epochs=1"]
    runs = ["--run", "one view=demo,method.name=supervised"]
    runs += ["--run", "two=demo,method.name=supervised,method.views=2"]
    fixed = [*runs, "--output", str(tmp_path / "out"), *(word for key in changes for word in ("-o", key))]

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", [TOOL, *fixed, *map(str, arguments)])
        return runpy.run_path(TOOL)["main"]()

    return call


def test_two_labels_and_two_seeds_give_a_table_and_a_picture(compare, tmp_path, capsys):
    assert compare("--seeds", 0, 3) == 0
    out = tmp_path / "out"
    assert (out / "comparison.md").read_text(encoding="utf-8") in capsys.readouterr().out
    table = pd.read_csv(out / "comparison.csv").set_index("run")
    assert list(table.index) == ["one view", "two"] and {"seed 0", "seed 3"} <= set(table)
    for label, folder, images in (("one view", "one_view", 40), ("two", "two", 80)):
        runs = [pd.read_csv(out / folder / f"seed{seed}" / "metrics.csv").iloc[-1] for seed in (0, 3)]
        accuracies = pd.Series([run["eval_accuracy"] for run in runs])
        assert table.loc[label, ["seed 0", "seed 3"]].tolist() == pytest.approx(accuracies.tolist())
        assert table.loc[label, "accuracy"] == pytest.approx(accuracies.mean())
        assert table.loc[label, "std"] == pytest.approx(accuracies.std())
        assert table.loc[label, "images_seen"] == images and table.loc[label, "seconds"] > 0
    assert "Images seen differ" in (out / "comparison.md").read_text(encoding="utf-8")
    assert (out / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_a_stopped_comparison_has_a_table_of_what_is_finished_and_goes_on(compare, monkeypatch, tmp_path):
    steps = []

    def stop_in_the_second_run(self):
        steps.append(1)
        if len(steps) == 3:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Supervised, "after_step", stop_in_the_second_run)
        assert compare() == 128 + signal.SIGTERM
    out = tmp_path / "out"
    assert not (out / "comparison.md").exists()
    assert compare("--table-only") == 0
    assert "not run" in (out / "comparison.md").read_text(encoding="utf-8").splitlines()[3]
    assert not (out / "two" / "seed0" / "metrics.csv").exists()  # nothing was trained for the table
    assert compare() == 0
    assert "not run" not in (out / "comparison.md").read_text(encoding="utf-8")


def test_a_run_that_fails_is_named_under_the_table_of_the_others(compare, monkeypatch, tmp_path):
    steps = []

    def fail_in_the_first_run(self):
        steps.append(1)
        if len(steps) == 1:
            raise UserError("the loss is not finite in step 1")

    monkeypatch.setattr(Supervised, "after_step", fail_in_the_first_run)
    assert compare() == 1
    text = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert f"Failed: {tmp_path}/out/one_view/seed0: the loss is not finite in step 1" in text
    assert "not run" in text.splitlines()[2] and "not run" not in text.splitlines()[3]


def test_a_table_of_nothing_is_refused(compare, tmp_path):
    with pytest.raises(UserError, match="no run is finished yet"):
        compare("--table-only")
    assert not (tmp_path / "out").exists()


def test_a_changed_key_of_a_finished_run_is_refused_by_training_and_table(compare):
    assert compare() == 0
    for arguments in (["--table-only"], []):
        with pytest.raises(UserError, match="has changed since, in optim.learning_rate"):
            compare("-o", "optim.learning_rate=0.01", *arguments)


def test_help_and_mistakes_in_arguments_do_not_load_paddle():
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print('loaded' if 'paddle' in sys.modules else 'not loaded')"
    )
    two_threads = ["--run", "a=demo", "--run", "b=demo,run.threads=2"]
    for arguments, said in (
        (["--help"], "usage"),
        (["--run", "CDS=demmo"], "did you mean 'demo'?"),
        (two_threads, "run.threads is 1 and 2"),
    ):
        done = subprocess.run([sys.executable, "-c", code, TOOL, *arguments], capture_output=True, text=True)
        assert said in done.stdout + done.stderr
        assert done.stdout.split("\n")[-2] == "not loaded"
