"""Lines of a run whose screen or file fails."""

import subprocess
import sys
from pathlib import Path

import pytest

from ppcds.engine.run_log import RunLog

TRAIN = Path(__file__).parents[2] / "tools" / "train.py"


class ClosedPipe:
    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")

    flush = write


@pytest.mark.parametrize("screen", [ClosedPipe(), None], ids=["closed pipe", "no screen"])
def test_lines_that_nobody_reads_on_the_screen_are_in_the_file(tmp_path, monkeypatch, screen):
    log = RunLog(tmp_path)
    monkeypatch.setattr(sys, "stdout", screen)
    log.say("one")
    log.say("two")
    log.close()
    assert [line.split()[-1] for line in (tmp_path / "train.log").read_text().splitlines()] == ["one", "two"]


def test_a_log_that_cannot_be_written_is_told_of_once_and_ends_nothing(tmp_path, capsys):
    log = RunLog(tmp_path)
    (tmp_path / "train.log").mkdir()
    log.say("one")
    log.say("two")
    log.close()
    said = capsys.readouterr().out
    assert said.count("warning: cannot write") == 1 and f"{tmp_path / 'train.log'}: Is a directory" in said
    assert "one" in said and "two" in said


@pytest.mark.slow
def test_a_run_whose_screen_is_closed_by_head_goes_on_to_its_end(tiny_sports10, tmp_path):
    keys = ["data.layout=sports10", f"data.root={tiny_sports10}", "data.size=[32, 32]", "data.batch_size=8"]
    keys += ["model.width=2", "optim.epochs=2", "run.log_steps=1", f"run.output_dir={tmp_path / 'run'}"]
    command = [sys.executable, str(TRAIN), "-c", "demo", *(part for key in keys for part in ("-o", key))]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, **pipes)
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait(timeout=240) == 0, said
    assert "BrokenPipe" not in said and "epoch 2/2 step 5/5" in (tmp_path / "run" / "train.log").read_text()
    assert (tmp_path / "run" / "last_model.pdparams").is_file()
