"""Demo data: frames of ten Atari sports games in the layout of Sports10, made with ale-py (extra: demo)."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

from ppcds.datasets.csv_split import CSVSplit
from ppcds.errors import UserError
from ppcds.runtime import available_cores

# class -> name of the game's ROM in ale-py
GAMES = {
    "Bowling": "bowling",
    "Boxing": "boxing",
    "DoubleDunk": "double_dunk",
    "Enduro": "enduro",
    "FishingDerby": "fishing_derby",
    "IceHockey": "ice_hockey",
    "MiniatureGolf": "miniature_golf",
    "Pong": "pong",
    "Skiing": "skiing",
    "Tennis": "tennis",
}
RECORDER = Path(__file__).with_name("atari.py")
INSTALL = 'pip install "ppcds[demo]", or pip install "ale-py>=0.10,!=0.11.*"'


def make_demo(
    root: str | os.PathLike,
    train_per_class: int = 120,
    val_per_class: int = 30,
    size: tuple[int, int] = (360, 640),
) -> None:
    """Make the demo data in the folder `root`, unless its two CSVs are there already.

    root/<Class>/<game>0000.jpg ... of `size` (height, width) in pixels, and train_split.csv, val_split.csv.
    No two pictures of a game are equal, so no validation picture is a training picture. Everything is made
    in a folder beside `root` that takes its name at the end: `root` is complete or absent.
    Raises UserError if ale-py is missing, `root` holds something else, or a game cannot be played.
    """
    root = Path(root)
    if _complete(root):
        return
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UserError(f"{root} is neither empty nor a data set: name another folder for the demo frames")
    if find_spec("ale_py") is None:
        raise UserError(f"the demo frames need ale-py: {INSTALL}")
    _remove_abandoned(root)
    unfinished = root.with_name(f"{root.name}.{os.getpid()}.part")
    try:
        _record_all(unfinished, [train_per_class, val_per_class, *size])
        _write_csv(unfinished / "val_split.csv", range(train_per_class, train_per_class + val_per_class))
        _write_csv(unfinished / "train_split.csv", range(train_per_class))
        if not _complete(root):  # another process may have been faster
            if root.exists():
                root.rmdir()  # empty
            os.replace(unfinished, root)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _complete(root: Path) -> bool:
    return (root / "train_split.csv").is_file() and (root / "val_split.csv").is_file()


def _remove_abandoned(root: Path) -> None:
    """Remove what processes that were killed have left beside `root`."""
    for folder in root.parent.glob("*.part"):
        left = re.fullmatch(re.escape(root.name) + r"\.(\d+)\.part", folder.name)
        if left and not _is_another_process(int(left.group(1))):
            shutil.rmtree(folder, ignore_errors=True)


def _is_another_process(pid: int) -> bool:
    if pid == os.getpid():  # it was another's before: containers give the same number again
        return False
    if os.name == "nt":  # os.kill would end it
        return True
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def _record_all(folder: Path, numbers: list[int]) -> None:
    """Record every game in a process of its own, as many at a time as there are cores."""
    waiting = list(GAMES.items())
    running: dict[str, subprocess.Popen] = {}
    total = len(GAMES) * sum(numbers[:2])
    try:
        with tqdm(total=total, desc="Demo frames", unit="image") as bar:
            while waiting or running:
                while waiting and len(running) < available_cores():
                    name, rom = waiting.pop(0)
                    running[name] = _start(rom, folder / name, numbers)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    next(iter(running.values())).wait(timeout=0.2)
                for name in [name for name, process in running.items() if process.poll() is not None]:
                    with running.pop(name) as process:
                        _check(name, process.returncode, folder / f"{GAMES[name]}.log")
                bar.update(sum(1 for _ in folder.glob("*/*.jpg")) - bar.n)
    finally:
        for process in running.values():
            with process:
                process.kill()


def _start(rom: str, folder: Path, numbers: list[int]) -> subprocess.Popen:
    folder.mkdir(parents=True)
    # by its path, not as a module of the package, which would load Paddle in every process
    run = f"import runpy; runpy.run_path({str(RECORDER)!r}, run_name='__main__')"
    command = [sys.executable, "-c", run, rom, str(folder), *map(str, numbers)]
    with open(folder.parent / f"{rom}.log", "wb") as log:
        # a pipe to which nothing is written: it closes with this process, and the recorder ends then
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)


def _check(name: str, status: int, log: Path) -> None:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "no message")
    if status != 0:
        raise UserError(
            f"demo frames: the game {name} ended with status {status} ({said}); "
            f"for an ale-py that plays it: {INSTALL}"
        )
    log.unlink()


def _write_csv(path: Path, indices: range) -> None:
    rows = [f"{name}/{rom}{index:04d}.jpg,{name}\n" for name, rom in GAMES.items() for index in indices]
    path.write_text("".join(["filename,class\n", *rows]), encoding="utf-8")


class DemoFrames(CSVSplit):
    """A split of the demo data. The classes are ten games, not the ten genres of Sports10.

    Arguments, attributes and errors are those of CSVSplit.
    """

    CLASSES = tuple(GAMES)
    make = staticmethod(make_demo)
