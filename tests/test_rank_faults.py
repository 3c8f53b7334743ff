"""Two ranks, one of which meets a fault: the other says which, both end, and the run goes on from there."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("rank_faults.py")
GONE = "UserError: rank {0} has ended, or does not answer any more: .*workerlog.{0}.*--resume goes on"


@pytest.fixture
def meet(trained_run, tmp_path):
    """meet(fault): what that fault of rank_faults.py led to."""

    def call(fault):
        command = [sys.executable, str(SCRIPT), str(trained_run.parent / "Sports10"), str(tmp_path), fault]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return call


@pytest.mark.parametrize(
    ("fault", "gone"),
    [
        ("rank 1 killed in a step", 1),
        pytest.param("rank 0 killed in a step", 0, marks=pytest.mark.slow),
        pytest.param("rank 1 killed in evaluation", 1, marks=pytest.mark.slow),
        pytest.param("rank 1 killed, its processes reading", 1, marks=pytest.mark.slow),
        pytest.param("rank 1 killed while rank 0 saves", 1, marks=pytest.mark.slow),
    ],
)
def test_a_rank_that_is_killed_ends_the_other_within_a_minute_with_its_number(meet, fault, gone):
    found = meet(fault)
    assert found["seconds"] < 60
    assert found["statuses"][gone] == 9 and found["statuses"][1 - gone] == 256
    assert re.match(GONE.format(gone), found["said"][1 - gone])
    assert found["resumed"] == [0, 0]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("features of rank 1 not finite", "UserError: the network's features are not finite"),
        pytest.param(
            *("loss of rank 1 not finite", "UserError: the loss is not finite in step 2 of epoch 2 "),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("no room on the disk of rank 0", ".*No space left on device: 'run/latest.safetensors'"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("a bug on rank 0", "(UserError: rank 0 has ended: )?KeyError: 'missing'"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_one_rank_meets_ends_both_with_the_same_words(meet, fault, said):
    found = meet(fault)
    assert found["seconds"] < 60 and found["statuses"] == [256, 256]
    assert all(re.match(said, line) for line in found["said"])
    assert found["resumed"] == [0, 0]
