"""What two ranks say when one of them meets a fault; test_rank_faults.py starts it.

python rank_faults.py DATA_ROOT FOLDER FAULT: prints JSON, {"seconds", "statuses", "said", "resumed"}.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from forked import fork, wait

from ppcds.config import load_recipe
from ppcds.distributed import agreement, rank, waiting
from ppcds.engine import features
from ppcds.engine import trainer as training
from ppcds.engine.trainer import Trainer

SMALL = ["data.layout=sports10", "data.size=[32, 32]", "data.batch_size=8", "data.train_images=24"]
TINY = ["model.width=2", "optim.epochs=2", "run.log_steps=1", "run.output_dir=run"]
SIMCLR = ["method.name=simclr", "model.head={widths: [16, 8]}"]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_in_a_step(trainer: Trainer) -> None:
    in_step(trainer, 5, die)


def killed_in_evaluation(trainer: Trainer) -> None:
    trainer.evaluation.measure = lambda *args: die()


def killed_while_the_first_rank_saves(trainer: Trainer) -> None:
    waiting.GONE = 3.0
    save, saves = training.save_checkpoint, []

    def save_slowly(*args):
        saves.append(1)
        time.sleep(1 if len(saves) == 2 else 0)
        save(*args)

    training.save_checkpoint = save_slowly
    if rank() == 1:
        waited = agreement.wait_for_all
        agreement.wait_for_all = lambda: die() if trainer.state.step else waited()


def loss_not_finite(trainer: Trainer) -> None:
    """What this rank makes of its images in step 5 is NaN, and gathered by the other."""
    outputs, steps = trainer.method.outputs, []

    def spoilt(views, labels):
        steps.append(1)
        found = outputs(views, labels)
        return {name: value * float("nan") for name, value in found.items()} if len(steps) == 5 else found

    trainer.method.outputs = spoilt


def features_not_finite(trainer: Trainer) -> None:
    outputs_of = features.outputs_of

    def spoilt(*args):
        found, labels = outputs_of(*args)
        return found * np.nan, labels

    features.outputs_of = spoilt


def disk_full(trainer: Trainer) -> None:
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device", "run/latest.safetensors")

    in_step(trainer, 2, lambda: setattr(training, "save_checkpoint", full))


def a_bug(trainer: Trainer) -> None:
    def broken(*args):
        return {}["missing"]

    in_step(trainer, 2, lambda: setattr(training, "save_checkpoint", broken))


def in_step(trainer: Trainer, number: int, act) -> None:
    after_step, steps = trainer.method.after_step, []

    def after_step_and_act():
        after_step()
        steps.append(1)
        if len(steps) == number:
            act()

    trainer.method.after_step = after_step_and_act


FAULTS = {  # name: what happens, to which rank, with which overrides
    "rank 0 killed in a step": (killed_in_a_step, 0, []),
    "rank 1 killed in a step": (killed_in_a_step, 1, []),
    "rank 1 killed in evaluation": (killed_in_evaluation, 1, []),
    "rank 1 killed, its processes reading": (killed_in_a_step, 1, ["data.num_workers=1"]),
    "rank 1 killed while rank 0 saves": (killed_while_the_first_rank_saves, None, []),
    "loss of rank 1 not finite": (loss_not_finite, 1, []),
    "features of rank 1 not finite": (features_not_finite, 1, SIMCLR),
    "no room on the disk of rank 0": (disk_full, 0, []),
    "a bug on rank 0": (a_bug, 0, []),
}


def main() -> None:
    root, folder, name = sys.argv[1:]
    fault, victim, own = FAULTS[name]
    overrides = [*SMALL, f"data.root={root}", *TINY, *own]
    os.chdir(folder)

    def train(rank: int) -> None:
        trainer = Trainer(load_recipe("demo", overrides))
        if victim in (rank, None):
            fault(trainer)
        trainer.train()

    began = time.monotonic()
    statuses = wait(fork(train, 2), together=False)
    seconds = time.monotonic() - began
    said = [["", *Path(f"said{rank}").read_text().splitlines()][-1] for rank in (0, 1)]
    resumed = wait(fork(lambda rank: Trainer(load_recipe("demo", overrides), resume=True).train(), 2))
    print(json.dumps({"seconds": seconds, "statuses": statuses, "said": said, "resumed": resumed}))


if __name__ == "__main__":
    main()
