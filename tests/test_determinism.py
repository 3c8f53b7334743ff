"""The same recipe and seed give the same bytes in another process."""

import os
import subprocess
import sys

import pytest

TRAIN = """
import hashlib, sys
from ppcds.runtime import choose_device, prepare_processor
prepare_processor()
choose_device("cpu")
from ppcds.config import load_recipe
from ppcds.engine.trainer import Trainer
from ppcds.weights import load_weights
root, folder = sys.argv[1:]
keys = [f"data.root={root}", f"run.output_dir={folder}", "data.layout=sports10", "data.size=[48, 48]"]
small = ["data.batch_size=16", "model.width=8", "optim.epochs=2", "optim.schedule.name=cosine"]
Trainer(load_recipe("demo", [*keys, *small])).train()
for name, array in sorted(load_weights(f"{folder}/latest.safetensors").items()):
    print("weight", name, hashlib.sha256(array.tobytes()).hexdigest())
print("metrics", open(f"{folder}/metrics.csv").read().encode().hex())
"""


@pytest.mark.parametrize("threads", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_two_fresh_processes_train_the_same_weights(tiny_sports10, tmp_path, threads):
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "PYTHONHASHSEED": "random"}
    found = []
    for number in range(2):
        command = [sys.executable, "-c", TRAIN, str(tiny_sports10), str(tmp_path / f"run{number}")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
        found.append([line for line in done.stdout.splitlines() if line.startswith(("weight ", "metrics "))])
    assert len(found[0]) > 50 and found[0] == found[1]
