"""A process that packs rows: PackingProcess starts it and talks to it in lines of JSON.

A process of its own, and no fork of this one: Paddle's and OpenCV's threads do not survive a fork. It runs
this file by its path, since importing the package would load Paddle. It ends when its standard input does,
so that none is left over however its parent ends.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np

from ppcds.errors import UserError
from ppcds.image_files import PassingFault

HERE = Path(__file__)


class PackingProcess:
    """With settings images (path of the .npy), header (bytes before its rows), root, size, interpolation,
    decode and skip (broken images); used as a context, which ends the process."""

    def __init__(self, settings: dict):
        run = (
            f"import runpy, sys; sys.path.append({str(HERE.parents[2])!r}); "
            f"runpy.run_path({str(HERE)!r}, run_name='__main__')"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", run],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="ascii",
            start_new_session=True,  # Ctrl-C is for the parent
        )
        self._send(settings)

    def __enter__(self) -> PackingProcess:
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.communicate()

    def pack(self, start: int, filenames: list[str]) -> dict:
        """Write these images as the rows from `start` on; returns `crc` of the rows, `sizes` of the files and
        `bad`, {row: reason} of broken ones, which become zeros.

        Raises UserError if the process has ended, for an image that cannot be read for a reason that passes,
        and for a broken one if those are not skipped; OSError if it cannot write.
        """
        self._send({"start": start, "filenames": filenames})
        line = self.process.stdout.readline()
        if not line:
            status, count = self.process.wait(), len(filenames)
            raise UserError(
                f"a process that packs images has ended with status {status} at one of the {count} from "
                f"{filenames[0]} on: is it damaged, or was there too little memory?"
            )
        result = json.loads(line)
        if "mistake" in result:
            raise UserError(result["mistake"])
        if "error" in result:
            raise OSError(*result["error"])
        return result

    def _send(self, message: dict) -> None:
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and the next reading says so


def serve() -> None:
    """Answer each line of standard input with one on standard output."""
    cv2.setNumThreads(1)  # the processes are the parallelism
    images = runpy.run_path(str(HERE.with_name("images.py")))
    settings = json.loads(sys.stdin.readline())
    with open(settings["images"], "rb+") as file:
        for line in sys.stdin:
            print(json.dumps(_pack(json.loads(line), settings, images, file)), flush=True)


def _pack(task: dict, settings: dict, images: dict, file) -> dict:
    height, width = settings["size"]
    pixels = np.empty((len(task["filenames"]), height, width, 3), np.uint8)
    at_least = (height, width) if settings["decode"] == "fast" else None
    sizes, bad = [], {}
    try:
        for row, filename in enumerate(task["filenames"]):
            path = os.path.join(settings["root"], filename)
            try:
                image, size = images["read_image_and_size"](path, at_least)
                pixels[row] = images["resize"](image, (height, width), settings["interpolation"])
            except UserError as mistake:
                if isinstance(mistake, PassingFault) or not settings["skip"]:
                    return {"mistake": str(mistake)}
                pixels[row], size, bad[task["start"] + row] = 0, (0, 0), str(mistake)
            sizes.append(size)
        file.seek(settings["header"] + task["start"] * height * width * 3)
        file.write(pixels)
        file.flush()
    except OSError as error:
        return {"error": [error.errno, error.strerror, settings["images"]]}
    return {"crc": zlib.crc32(pixels), "sizes": sizes, "bad": bad}


if __name__ == "__main__":
    serve()
