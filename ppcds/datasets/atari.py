"""Records one Atari game, as a process of its own (see demo.py): some ROMs end the process they run in."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

SKIPPED = 120  # emulator frames played before the first picture of an episode: past the intro
SPACING = 24  # emulator frames between two pictures (60 a second)
QUALITY = 90  # of the JPEG files
TRAIN_SEED, VAL_SEED = 0, 1


def screens(rom: str, seed: int) -> Iterator[np.ndarray]:
    """RGB screens [210, 160, 3] of seeded random play, SPACING emulator frames apart, without end."""
    from ale_py import ALEInterface, LoggerMode, roms

    ALEInterface.setLoggerMode(LoggerMode.Error)
    game = ALEInterface()
    game.setInt("random_seed", seed)
    game.setFloat("repeat_action_probability", 0.0)
    game.loadROM(roms.get_rom_path(rom))
    actions = game.getMinimalActionSet()
    generator = np.random.default_rng(seed)
    while True:
        game.reset_game()
        frame = 0
        while not game.game_over():
            action = actions[generator.integers(len(actions))]
            for _ in range(generator.integers(1, 13)):  # held for a while, so that players cross the field
                game.act(action)
                frame += 1
                if frame > SKIPPED and frame % SPACING == 0:
                    yield game.getScreenRGB()


def record(rom: str, folder: Path, train: int, val: int, height: int, width: int) -> None:
    """Write train + val pictures as folder/<rom>0000.jpg ..., the training pictures first.

    No two are equal, neither as screens nor as decoded JPEG: other seeds do not always mean other frames.
    """
    seen = set()
    index = 0
    for seed, count in ((TRAIN_SEED, train), (VAL_SEED, val)):
        end = index + count
        for attempt, screen in enumerate(screens(rom, seed)):
            if index == end:
                break
            if attempt > 100 * count + 1000:
                raise RuntimeError(f"{rom}: only {index} different frames in {attempt} of random play")
            large = cv2.resize(screen[..., ::-1], (width, height), interpolation=cv2.INTER_LINEAR)
            jpeg = cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
            pictures = {_digest(screen), _digest(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))}
            if seen.isdisjoint(pictures):
                (folder / f"{rom}{index:04d}.jpg").write_bytes(jpeg.tobytes())
                index += 1
            seen |= pictures


def _digest(pixels: np.ndarray) -> bytes:
    return hashlib.sha256(pixels.tobytes()).digest()


def _end_with_parent() -> None:
    """Wait until standard input, a pipe from the parent, closes: it does however the parent ended."""
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    record(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
