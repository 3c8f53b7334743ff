"""tools/simclr_keras.py as its user runs it."""

import runpy
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ppcds.config import load_recipe
from ppcds.errors import UserError
from ppcds.methods.simclr_online_probe import SimCLROnlineProbe

TOOL = str(Path(__file__).parents[1] / "tools" / "simclr_keras.py")
PARTS = {"train": 20, "test": 10, "unlabeled": 12}


@pytest.fixture
def stl10(tmp_path):
    """A folder with STL-10's binary files: 20 labelled images of two classes by their brightness, 10 for
    evaluation, 12 without labels."""
    random, folder = np.random.RandomState(0), tmp_path / "STL10"
    folder.mkdir()
    for part, count in PARTS.items():
        labels = np.arange(count) % 2 + 1
        brightness = 100 * labels.reshape(-1, 1, 1, 1) - 60
        images = brightness + random.randint(0, 100, (count, 3, 96, 96))  # three planes an image
        (folder / f"{part}_X.bin").write_bytes(images.astype("uint8"))
        if part != "unlabeled":
            (folder / f"{part}_y.bin").write_bytes(labels.astype("uint8"))
    return folder


@pytest.fixture
def simclr_keras(stl10, tmp_path, monkeypatch):
    """simclr_keras(*arguments) -> exit status: narrow networks, one epoch each on the tiny data set."""
    changes = [f"data.root={stl10}", "data.size=[32, 32]", "data.num_workers=0"]
    changes += ["model.width=4", "optim.epochs=1", "data.batch_size=5"]
    own = ["data.batch_size=8", "data.labelled_per_batch=5", "method.head_widths=[4, 4]"]
    fixed = ["--output", str(tmp_path / "out"), *(word for key in changes for word in ("-o", key))]
    fixed += [word for key in own for word in ("--pretrain-o", key)]

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", [TOOL, *fixed, *map(str, arguments)])
        return runpy.run_path(TOOL)["main"]()

    return call


def test_the_three_runs_end_in_a_table_and_a_picture(simclr_keras, tmp_path, capsys):
    assert simclr_keras() == 0
    out, said = tmp_path / "out", capsys.readouterr().out
    assert (out / "simclr_keras.md").read_text(encoding="utf-8") in said
    assert (out / "simclr_keras.png").read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(out / "simclr_keras.csv").set_index("run")
    assert table["published, best (%)"].tolist() == [59.90, 56.65, 65.32]
    for step, name in zip(("baseline", "pretrain", "finetune"), table.index):
        (row,) = pd.read_csv(out / step / "metrics.csv").to_dict(orient="records")
        assert table.loc[name, "last epoch (%)"] == pytest.approx(row["eval_accuracy"] * 100)
        assert table.loc[name, "images seen"] == row["images_seen"] and row["eval_loss"] > 0
    for step in ("baseline", "pretrain"):
        assert load_recipe(str(out / step / "recipe.yaml")).model.pretrained is None
    weights = out / "pretrain" / "last_model.pdparams"
    assert f"starts from weights of {weights}" in (out / "finetune" / "train.log").read_text()


def test_stopped_in_the_pretraining_the_same_command_goes_on(simclr_keras, monkeypatch, tmp_path, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(SimCLROnlineProbe, "after_step", lambda self: signal.raise_signal(signal.SIGTERM))
        assert simclr_keras() == 128 + signal.SIGTERM
    assert "Stopped in run 2 of 3" in capsys.readouterr().out
    assert not (tmp_path / "out" / "simclr_keras.md").exists()
    assert simclr_keras() == 0
    said = capsys.readouterr().out
    assert "baseline: finished" in said and "pretrain: goes on" in said and "finetune: begins" in said
    before = (tmp_path / "out" / "simclr_keras.md").read_bytes()
    assert simclr_keras() == 0
    assert capsys.readouterr().out.count(": finished") == 3
    assert (tmp_path / "out" / "simclr_keras.md").read_bytes() == before


def test_a_longer_baseline_leaves_the_others_as_they_are_and_longer_pretraining_is_refused(
    simclr_keras, capsys
):
    assert simclr_keras() == 0
    capsys.readouterr()
    assert simclr_keras("--baseline-o", "optim.epochs=2") == 0
    said = capsys.readouterr().out
    assert "baseline: goes on after epoch 1" in said and "pretrain: finished" in said
    with pytest.raises(UserError, match="finetune started from other weights than .*pretrain will end with"):
        simclr_keras("--baseline-o", "optim.epochs=2", "--pretrain-o", "optim.epochs=2")


def test_help_and_mistakes_in_recipes_do_not_load_paddle():
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print('loaded' if 'paddle' in sys.modules else 'not loaded')"
    )
    for arguments, said in (
        (["--help"], "default: output/simclr_keras)"),
        (["--help"], "fine-tune from the last"),
        (["--pretrain-o", "optim.epoch=3"], "did you mean 'epochs'?"),
    ):
        done = subprocess.run([sys.executable, "-c", code, TOOL, *arguments], capture_output=True, text=True)
        assert said in " ".join((done.stdout + done.stderr).split())  # whatever the width of the screen
        assert done.stdout.split("\n")[-2] == "not loaded"


def test_the_shipped_recipes_form_the_chain(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [TOOL, "-o", "data.root=nowhere"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="nowhere"):  # no option is unknown; only the images are missing
        runpy.run_path(TOOL)["main"]()
    assert list(tmp_path.iterdir()) == []
