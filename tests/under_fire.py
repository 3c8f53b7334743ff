"""Runs that are killed at random and resumed until they end; test_under_fire.py starts it.

python under_fire.py DATA_ROOT TEACHER_RUN FOLDER '{"method": "cds", "overrides": [], "runs": 20, ...}'

Prints a line of JSON: where the kills fell, and what differs from the undisturbed run.
"""

from __future__ import annotations

import contextlib
import io
import json
import mmap
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from forked import fork, kill, wait
from scaler_stand_in import let_scaler_work_on_a_processor
from visualdl import LogReader

from ppcds.config import load_recipe
from ppcds.engine.evaluate import Evaluation
from ppcds.engine.trainer import Trainer
from ppcds.weights import load_weights, read_metadata

SMALL = ["data.layout=sports10", "data.size=[32, 32]", "data.batch_size=8", "data.train_images=24"]
TINY = ["model.width=2", "optim.epochs=3", "run.log_steps=1", "run.output_dir=run"]
HEAD = "model.head={widths: [16, 8]}"
METHODS = {
    "cds": ["method.weight_schedule=cosine"],
    "moco": [HEAD, "method.queue_size=20", "optim.name=lars"],
    "byol": [HEAD, "method.predictor_width=16", "method.tau=0.9", "optim.name=adam"],
    "distillation": ["method.teacher_weights=TEACHER/best_model.pdparams"],
}
FILES = ("last_model.pdparams", "best_model.pdparams", "metrics.csv")
MOMENTS = ("step", "evaluation", "half a file", "before a rename", "after a rename")


class Place:
    """Where a process that trains is, told to its parent; it kills itself at the n-th of a moment."""

    def __init__(self, at: tuple[str, int] | None = None) -> None:
        self.memory = mmap.mmap(-1, 4096)
        self.counts, self.at = dict.fromkeys(MOMENTS, 0), at
        self.now = "start"
        self.write()

    def write(self) -> None:
        told = json.dumps([self.now, self.counts]).encode()
        self.memory[: len(told) + 1] = told + b"\n"

    def read(self) -> tuple[str, dict[str, int]]:
        return tuple(json.loads(self.memory[: self.memory.find(b"\n")]))

    def reach(self, moment: str, before_death=lambda: None) -> None:
        self.counts[moment] += 1
        self.now = moment
        self.write()
        if self.at == (moment, self.counts[moment]):
            before_death()
            os.kill(os.getpid(), signal.SIGKILL)

    def leave(self, moment: str) -> None:
        self.now = f"after {moment}"
        self.write()


def watch(trainer: Trainer, place: Place) -> None:
    """Let this process tell where it is."""
    after_step, measure, fsync, rename = trainer.method.after_step, Evaluation.measure, os.fsync, os.replace

    def in_step():
        place.reach("step")  # the optimiser has moved the weights, the method has not yet moved its own
        after_step()

    def in_evaluation(self, network, epoch, check):
        def check_and_tell():
            place.reach("evaluation")
            check()

        found = measure(self, network, epoch, check_and_tell)
        place.leave("evaluation")
        return found

    def in_file(descriptor):
        def halve():
            with contextlib.suppress(OSError):  # a folder
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)

        place.reach("half a file", halve)
        fsync(descriptor)

    def in_rename(source, target, **options):
        place.reach("before a rename")
        rename(source, target, **options)
        place.reach("after a rename")

    trainer.method.after_step = in_step
    Evaluation.measure, os.fsync, os.replace = in_evaluation, in_file, in_rename


def train(overrides: list[str], resume: bool, place: Place) -> None:
    if "run.amp=fp16" in overrides:
        let_scaler_work_on_a_processor()
    trainer = Trainer(load_recipe("demo", overrides), resume)
    if trainer.step.precision.scaler:
        trainer.step.precision.scaler.set_incr_every_n_steps(2)
        if not resume:
            trainer.step.precision.restore({"scale": 2.0**126, "incr_count": 0, "decr_count": 0})
    watch(trainer, place)
    trainer.train()


def points(folder: Path) -> dict[str, list[int]]:
    """The steps of each curve in VisualDL's one file."""
    (file,) = (folder / "vdl").iterdir()
    with contextlib.redirect_stdout(io.StringIO()):
        reader = LogReader(file_path=str(file))
        tags = reader.get_tags()["scalar"]
        return {tag: [point.id for point in reader.get_data("scalar", tag)] for tag in sorted(tags)}


def differences(folder: Path, whole: Path) -> list[str]:
    """What a run that was killed and resumed has otherwise than the undisturbed one."""
    found = [name for name in FILES if (folder / name).read_bytes() != (whole / name).read_bytes()]
    ours, theirs = (path / "latest.safetensors" for path in (folder, whole))
    if read_metadata(ours) != read_metadata(theirs):  # in the file they come in any order
        found.append("state")
    ours, theirs = load_weights(ours), load_weights(theirs)
    if ours.keys() != theirs.keys():
        found.append("names of weights")
    found += [name for name in ours if ours[name].tobytes() != theirs[name].tobytes()]
    found += [str(path) for path in folder.rglob("*.tmp")]
    if {path.name for path in folder.iterdir()} != {path.name for path in whole.iterdir()}:
        found.append(f"files {sorted(path.name for path in folder.iterdir())}")
    if points(folder) != points(whole):
        found.append(f"curves {points(folder)}")
    return found


def main() -> None:
    root, teacher, folder, wanted = sys.argv[1:]
    wanted = json.loads(wanted)
    own = [*METHODS[wanted["method"]], *wanted["overrides"]]
    own = [override.replace("TEACHER", teacher) for override in own]
    overrides = [f"method.name={wanted['method']}", *SMALL, f"data.root={root}", *TINY, *own]
    draw, ranks = random.Random(wanted["seed"]), wanted.get("ranks", 1)
    folder = Path(folder)

    def start(resume: bool, places: list[Place]) -> list[int]:
        return fork(lambda rank: train(overrides, resume, places[rank]), len(places))

    def inside(name: str) -> None:
        (folder / name).mkdir(parents=True, exist_ok=True)
        os.chdir(folder / name)  # run.output_dir is in the checkpoint, and the same for all

    inside("whole")
    places, began = [Place() for _ in range(ranks)], time.monotonic()
    statuses = wait(start(False, places))
    assert not any(statuses), (statuses, Path("said0").read_text()[-2000:])
    seconds, counts = time.monotonic() - began, [place.read()[1] for place in places]
    whole, fell, differing = Path("run").resolve(), [], []
    for run in range(wanted["runs"]):
        inside(f"killed{run}")
        kills = draw.choice((1, 1, 2, 3))
        for attempt in range(100):
            resume, victim = Path("run/latest.safetensors").is_file(), draw.randrange(ranks)
            places, until = [Place() for _ in range(ranks)], None
            if attempt < kills:
                if draw.random() < 0.5:
                    until = time.monotonic() + draw.uniform(0.1, seconds)
                else:
                    moment = draw.choice([name for name in MOMENTS if counts[victim][name]])
                    places[victim].at = moment, draw.randint(1, counts[victim][moment])
            numbers = start(resume, places)
            statuses = wait(numbers, until)
            if statuses is None:
                where, _ = places[victim].read()
                kill(numbers[victim : victim + 1])
                statuses = wait(numbers)
                fell.append(f"timer: {where}")
            elif places[victim].at and statuses[victim]:
                fell.append(places[victim].at[0])
            if not any(statuses):
                break
            died = all(status in (0, signal.SIGKILL) or ranks > 1 for status in statuses)
            assert died and attempt < kills, (statuses, Path("said0").read_text()[-2000:])
        found = differences(Path("run"), whole)
        if found:
            differing.append({"run": run, "kills": fell[-3:], "differs": found})
        else:
            shutil.rmtree(folder / f"killed{run}")
        os.chdir(folder)
    print(json.dumps({"runs": wanted["runs"], "fell": fell, "differing": differing}))


if __name__ == "__main__":
    main()
