"""Files with faults at random: read or refused in words, within time and memory, and nothing runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("fuzzed_files.py")
HARMFUL = """
import pickle, runpy, sys
import ppcds.paddle_pickle
ppcds.paddle_pickle.read_pickle = pickle.load
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def fuzz(folder, count, seed, *before):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parents[1])}
    command = [sys.executable, *before, str(SCRIPT), str(folder), str(count), str(seed)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3000)


def assert_harmless(done, count):
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    print(figures)
    assert sum(figures["found"].values()) == count
    assert figures["grown_mb"] < 100 and figures["slowest_s"] < 5
    return figures["found"]


def test_three_hundred_faulty_files_do_no_harm(tmp_path):
    found = assert_harmless(fuzz(tmp_path / "files", 300, 0), 300)
    assert not list(tmp_path.rglob("executed"))
    for kind in (".pdparams", ".safetensors", "checkpoint", "features", "recipe", "packed"):
        assert found[f"{kind} refused"] > 10, kind


def test_the_tripwire_notices_a_reader_that_runs_what_is_in_a_file(tmp_path):
    done = fuzz(tmp_path / "files", 300, 0, "-c", HARMFUL)
    assert done.returncode == 1 and "pickle.find_class" in done.stderr, done.stderr[-2000:]


@pytest.mark.slow
def test_ten_thousand_faulty_files_do_no_harm(tmp_path):
    assert_harmless(fuzz(tmp_path / "files", 10_000, 1), 10_000)
