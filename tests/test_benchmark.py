"""tools/benchmark.py, its measuring, and what it measures against."""

import json
import os
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest

from ppcds.benchmark import growth
from ppcds.benchmark.loss import both, peak_memory
from ppcds.benchmark.notebook import dense_contrast
from ppcds.benchmark.pictures import write_sports10
from ppcds.benchmark.timing import Contestant, Measure, race, table, take_turns
from ppcds.errors import UserError
from ppcds.losses import SupConLoss

TOOL = str(Path(__file__).parents[1] / "tools" / "benchmark.py")


def benchmark(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [TOOL, *map(str, arguments)])
    return runpy.run_path(TOOL)["main"]()


def test_a_ratio_is_of_medians_and_its_spread_of_rounds():
    measure = Measure(baseline=[2.0, 4.0, 60.0], ours=[1.0, 1.0, 2.0], of="s")
    assert measure.as_json() == {"ratio": 4.0, "low": 2.0, "high": 30.0, "unit": "times as fast"}
    assert "4.00" in table("step", {"vs_notebook": measure})


def test_contestants_take_turns_and_their_first_turn_is_not_counted():
    turns = []

    class Counting:
        def __init__(self, name):
            self.name = name

        def run(self):
            turns.append(self.name)
            return len(turns)

    assert take_turns(2, Counting("a"), Counting("b")) == [[3, 5], [4, 6]]
    assert turns == ["a", "b"] * 3


def test_a_contestant_starts_without_the_settings_of_this_process(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    source = tmp_path / "way.py"
    source.write_text(
        "import os, sys\n"
        "def make(add):\n"
        "    return lambda: add + ('OMP_NUM_THREADS' in os.environ) + ('ppcds' in sys.modules)\n"
        "def fail():\n    return lambda: 1 / 0\n"
    )
    with Contestant(str(source), "make", add=40) as contestant:
        assert [contestant.run(), contestant.run()] == [40, 40]
    with Contestant(str(source), "fail") as contestant, pytest.raises(RuntimeError, match="has ended"):
        contestant.run()


def test_the_notebooks_formula_is_the_loss_that_is_measured_against_it():
    features = paddle.nn.functional.normalize(paddle.randn([12, 2, 8]), axis=2)
    labels = paddle.arange(12) % 3
    expected = float(dense_contrast(features, labels))
    assert float(SupConLoss()(features, labels)) == pytest.approx(expected, rel=1e-5)


def test_pictures_have_the_two_sizes_and_the_bytes_of_photographs(tmp_path):
    root = write_sports10(tmp_path, files=20, images=30)
    files = sorted(root.glob("*/*.jpg"))
    assert len(files) == 30 and all(30_000 < os.path.getsize(file) < 200_000 for file in files)
    shapes = {cv2.imread(str(file)).shape for file in files}
    assert shapes == {(360, 640, 3), (720, 1280, 3)}
    assert len((root / "train_split.csv").read_text().splitlines()) == 31


def test_both_ways_of_reading_give_batches_and_both_losses_their_time_and_memory(tmp_path):
    root = str(write_sports10(tmp_path, files=2, images=128))
    theirs = Contestant("notebook.py", "reading", root=root, batch=128)
    ours = Contestant("input.py", "reading", root=root, decode="exact", cache="build")
    measure = race(1, theirs, ours, "s")
    assert (tmp_path / "packed").is_dir() and measure.ratio > 1
    assert race(1, *both(256, "seconds"), "s").ratio > 0
    assert peak_memory("notebook.py", 4096) > peak_memory("loss.py", 4096)


def test_a_section_is_printed_and_written_beside_those_that_are_there(tmp_path, monkeypatch, capsys):
    found = tmp_path / "found.json"
    found.write_text(json.dumps({"loss": {"speedup": {"ratio": 2.0}}}))
    assert benchmark(monkeypatch, "startup", "--quick", "--json", found) == 0
    content = json.loads(found.read_text())
    assert content["loss"]["speedup"]["ratio"] == 2.0
    assert set(content["startup"]) == {"help", "unknown_recipe", "unknown_key", "bad_value"}
    for measure in content["startup"].values():
        assert 0 < measure["low"] <= measure["ratio"] <= measure["high"] and measure["unit"]
    assert "unknown_key" in capsys.readouterr().out


def test_a_wrong_section_or_file_is_a_users_mistake(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no section 'speed': choose from input, step, loss"):
        benchmark(monkeypatch, "speed")
    (tmp_path / "found.json").write_text("{")
    with pytest.raises(UserError, match="found.json: is there, and is not JSON"):
        benchmark(monkeypatch, "startup", "--json", tmp_path / "found.json")


def test_growth_is_drawn_with_its_numbers(tmp_path, monkeypatch):
    for name in ("of_images", "of_rows", "of_processes"):
        monkeypatch.setattr(growth, name, lambda quick: iter([("ppcds", 1, 0.5), ("ppcds", 2, 1.0)]))
    growth.draw_growth(tmp_path, quick=True)
    assert (tmp_path / "growth.csv").read_text().splitlines()[1] == "images,ppcds,1,0.5"
    assert np.ptp(cv2.imread(str(tmp_path / "growth.png"))) > 0
