"""VisualDL's curves: one file over all resumes, and a run that goes on without them."""

import sys

import pytest
from visualdl import LogReader, LogWriter

from ppcds.engine.curves import Curves
from ppcds.engine.trainer import Trainer


def steps_of(folder):
    """The steps of each curve in the one file there is."""
    (file,) = folder.iterdir()
    reader = LogReader(file_path=str(file))
    tags = reader.get_tags()["scalar"]
    return {tag: [point.id for point in reader.get_data("scalar", tag)] for tag in tags}


def killed_in_step(trainer, number):
    """Train, and end without a word after the step of that number."""
    after_step, steps = trainer.method.after_step, []

    def end():
        after_step()
        steps.append(1)
        if len(steps) == number:
            raise RuntimeError("killed")

    trainer.method.after_step = end
    with pytest.raises(RuntimeError, match="killed"):
        trainer.train()


def test_the_curves_of_a_run_that_was_killed_twice_have_each_step_once(tiny_recipe, tmp_path):
    recipe, vdl = tiny_recipe("run.log_steps=1", "optim.epochs=3"), tmp_path / "run" / "vdl"
    killed_in_step(Trainer(recipe), 8)
    assert steps_of(vdl)["train/loss"] == [1, 2, 3, 4, 5, 6, 7]
    killed_in_step(Trainer(recipe, resume=True), 9)  # steps 6 and 7 once more, up to 14
    (file,) = vdl.iterdir()
    with open(file, "ab") as torn:
        torn.write(bytes([40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]))  # the beginning of a record
    Trainer(recipe, resume=True).train()
    found = steps_of(vdl)
    assert found["train/loss"] == found["train/learning_rate"] == list(range(1, 16))
    assert found["eval/accuracy"] == found["train/accuracy"] == [5, 10, 15]


@pytest.mark.parametrize("place", ["evaluation.measure", "record.warn"], ids=["before", "after it was told"])
def test_a_run_that_is_killed_in_its_evaluation_tells_of_the_epoch_once(
    tiny_recipe, tmp_path, monkeypatch, place
):
    def killed(*args):
        raise RuntimeError("killed")

    trainer = Trainer(tiny_recipe("run.log_steps=1"))
    owner, name = place.split(".")
    monkeypatch.setattr(getattr(trainer, owner), name, killed)
    with pytest.raises(RuntimeError):
        trainer.train()
    Trainer(tiny_recipe("run.log_steps=1"), resume=True).train()
    found = steps_of(tmp_path / "run" / "vdl")
    assert found["train/loss"] == list(range(1, 11)) and found["eval/accuracy"] == [5, 10]


def test_several_files_of_earlier_parts_become_one_with_the_later_of_two_points(tmp_path):
    for name, values in (("1", {1: 0.1, 2: 0.2, 3: 0.3}), ("2", {3: 0.4})):
        with LogWriter(logdir=str(tmp_path), file_name=f"vdlrecords.{name}.log") as writer:
            for step, value in values.items():
                writer.add_scalar("loss", value, step)
    curves = Curves(tmp_path, "run", lambda tag, step: True, print)
    curves.scalars(4, {"loss": 0.5})
    curves.close()
    (file,) = tmp_path.iterdir()
    found = LogReader(file_path=str(file)).get_data("scalar", "loss")
    assert [(point.id, round(point.value, 3)) for point in found] == [(1, 0.1), (2, 0.2), (3, 0.4), (4, 0.5)]


def no_visualdl(monkeypatch):
    monkeypatch.setitem(sys.modules, "visualdl", None)


def disk_error(monkeypatch):
    def fail(*args, **options):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(LogWriter, "add_scalar", fail)


def dead_thread(monkeypatch):
    """VisualDL's own writer would then wait for it without end."""
    monkeypatch.setattr("visualdl.writer.record_writer._AsyncWriterThread.run", lambda self: None)


@pytest.mark.parametrize("fault", [no_visualdl, disk_error, dead_thread])
def test_a_run_goes_on_without_visualdl_after_one_warning(tiny_recipe, tmp_path, monkeypatch, fault):
    fault(monkeypatch)
    assert Trainer(tiny_recipe("run.log_steps=1", "optim.epochs=1")).train()["epoch"] == 1
    log = (tmp_path / "run" / "train.log").read_text()
    assert log.count("warning: VisualDL has failed") == 1
    assert "metrics.csv and train.log have the numbers" in log
    assert (tmp_path / "run" / "last_model.pdparams").is_file()
