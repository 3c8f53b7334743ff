"""tools/byol_tau.py as its user runs it."""

import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest

from ppcds.errors import UserError

TOOL = str(Path(__file__).parents[1] / "tools" / "byol_tau.py")


@pytest.fixture
def byol_tau(tiny_sports10, tmp_path, monkeypatch):
    """byol_tau(*arguments) -> exit status: one epoch of a narrow network on the tiny data set."""
    changes = [
        "data.layout=csv",
        f"data.root={tiny_sports10}",
        "data.train_images=null",
        "data.batch_size=20",
    ]
    changes += ["model.width=4", "model.head={widths: [8], batch_norm: none}", "method.predictor_width=8"]
    changes += ["optim.epochs=1", "optim.schedule.name=constant"]
    fixed = ["-c", "cifar10_byol_cpu", "--output", str(tmp_path / "out")]
    fixed += [word for key in changes for word in ("-o", key)]

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", [TOOL, *fixed, *map(str, arguments)])
        return runpy.run_path(TOOL)["main"]()

    return call


def test_every_tau_and_the_untrained_encoder_have_a_row(byol_tau, tmp_path, capsys):
    assert byol_tau("--tau", 1, 0) == 0
    out = tmp_path / "out"
    table = pd.read_csv(out / "byol_tau.csv")
    assert table["tau"].tolist() == ["untrained", "1", "0"]
    accuracies = table[["kNN (%)", "linear probe (%)"]].to_numpy()
    assert ((accuracies > 0) & (accuracies <= 100)).all()
    assert table["effective rank"].nunique() == 3  # three networks, not one thrice
    assert (out / "byol_tau.md").read_text(encoding="utf-8") in capsys.readouterr().out
    assert (out / "byol_tau.png").read_bytes().startswith(b"\x89PNG")
    assert byol_tau("--tau", 1, 0) == 0
    said = capsys.readouterr().out
    assert "tau1: finished" in said and "tau0: finished" in said
    pd.testing.assert_frame_equal(pd.read_csv(out / "byol_tau.csv"), table)


def test_a_tau_that_is_none_is_refused_before_anything_is_trained(byol_tau, tmp_path):
    with pytest.raises(UserError, match="method.tau: 2.0 should be less than or equal to 1"):
        byol_tau("--tau", 1, 2)
    assert not (tmp_path / "out").exists()


def test_a_recipe_of_another_method_is_refused(byol_tau):
    with pytest.raises(UserError, match="method.tau: unknown key"):
        byol_tau("-o", "method.name=simclr", "--tau", 1)
