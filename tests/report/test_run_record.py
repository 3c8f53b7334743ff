"""What is read of a run's folder, and what is said where it cannot be."""

import shutil

import pandas as pd
import pytest

from ppcds.errors import UserError
from ppcds.report.run_record import read_runs


@pytest.fixture
def run(trained_run, tmp_path):
    """A copy of a finished run that may be written into."""
    return shutil.copytree(trained_run, tmp_path / "copy")


def test_a_run_tells_its_epochs_its_steps_and_what_it_ran_on(run):
    (record,) = read_runs([str(run)], [])
    table = pd.read_csv(run / "metrics.csv")
    assert record.name == "copy" and record.metrics.equals(table) and not record.remarks
    assert record.last_accuracy == table["eval_accuracy"].iloc[-1]
    assert record.weights_epoch == table["epoch"][table["eval_accuracy"].idxmax()]
    assert record.scalars["eval/accuracy"]["value"].tolist() == pytest.approx(table["eval_accuracy"].tolist())
    assert any("Paddle" in line for line in record.log) and not any(
        "train_loss" in line for line in record.log
    )
    (last,) = read_runs([str(run)], ["data.batch_size=4"], "last")
    assert (last.weights.name, last.weights_epoch) == ("last_model.pdparams", 8)
    assert last.recipe.data.batch_size == 4


def test_a_line_that_only_begins_like_progress_is_kept(run):
    (run / "train.log").write_text(
        "2026-01-01 10:00:00 epoch 1/2 train_loss 1\n2026-01-01 10:00:01 epoch of oil\n"
    )
    assert read_runs([str(run)], [])[0].log == ["2026-01-01 10:00:01 epoch of oil"]


def test_runs_of_one_name_are_told_apart_by_their_paths(run, trained_run):
    other = shutil.copytree(run, run.parent / "other" / "copy")
    assert [record.name for record in read_runs([str(run), str(trained_run)], [])] == ["copy", "run"]
    names = [record.name for record in read_runs([str(run), str(other)], [])]
    assert names == [run.as_posix(), other.as_posix()]
    with pytest.raises(UserError, match="given twice"):
        read_runs([str(run), f"{run}/"], [])


def test_what_is_damaged_beside_the_numbers_is_told_and_gone_without(run):
    record_file = next((run / "vdl").glob("*.log"))
    record_file.write_bytes(b"\xff" * 100)
    (run / "train.log").unlink()
    (record,) = read_runs([str(run)], [])
    assert not record.scalars and not record.log and len(record.metrics) == 8
    assert "train.log could not be read" in " ".join(record.remarks)
    shutil.rmtree(run / "vdl")
    assert any("no VisualDL records" in remark for remark in read_runs([str(run)], [])[0].remarks)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda run: (run / "recipe.yaml").unlink(), "copy is not a run: there is no recipe.yaml"),
        (lambda run: (run / "best_model.pdparams").unlink(), "no best_model.pdparams in it: has it finished"),
        (lambda run: (run / "metrics.csv").unlink(), "metrics.csv: cannot be read .*: No such file"),
        (lambda run: (run / "metrics.csv").write_text("epoch,a\n1,x\n"), "metrics.csv: cannot be read"),
        (lambda run: (run / "metrics.csv").write_bytes(b"\xff\xfe\x00"), "metrics.csv: cannot be read"),
        (lambda run: (run / "metrics.csv").write_text("a\n1\n"), "metrics.csv: no epochs"),
        (lambda run: (run / "metrics.csv").write_text("epoch\n"), "metrics.csv: no epochs"),
    ],
)
def test_what_is_no_run_is_refused_with_the_name_of_the_file(run, spoil, said):
    spoil(run)
    with pytest.raises(UserError, match=said):
        read_runs([str(run)], [])


def test_the_last_weights_of_an_unfinished_run_are_asked_for_in_words(run):
    (run / "last_model.pdparams").unlink()
    with pytest.raises(UserError, match="finish the run, or take --weights best"):
        read_runs([str(run)], [], "last")
