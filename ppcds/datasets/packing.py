"""Making the packed images of a split, in parallel and by chunks, so that an interrupted run can go on."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from tqdm import tqdm

from ppcds.datasets.file_split import FileSplit
from ppcds.datasets.packed import (
    ABOUT,
    BAD,
    IMAGES,
    LABELS,
    SIZES,
    SOURCES,
    crc_of,
    describe_packing,
    sealed,
    unsealed,
)
from ppcds.datasets.packing_process import PackingProcess
from ppcds.errors import UserError
from ppcds.files import written_whole
from ppcds.runtime import available_cores

CHUNK = 2 << 20  # bytes of pixels that a process holds at a time
PROGRESS = "progress.jsonl"  # a line that says what is made of what, then a line a chunk


def unfinished_folder(folder: Path) -> Path:
    """Where packed images are made before they take their name."""
    return folder.with_name(f"{folder.name}.part")


def pack(split: FileSplit, wanted: dict, folder: Path) -> None:
    """Make `folder`, which must not exist, of what `wanted` describes; it is renamed when all is in it.

    A broken image is noted with its reason, unless split.on_bad_image is "error": then it raises UserError.
    Raises UserError if images change meanwhile, or for one that the system does not give, which may be whole;
    OSError if they cannot be written.
    """
    unfinished = unfinished_folder(folder)
    height, width = split.size
    row_bytes = height * width * 3
    step = max(1, CHUNK // row_bytes)
    chunks = [range(start, min(start + step, len(split))) for start in range(0, len(split), step)]
    header, done = _begin_or_resume(unfinished, wanted, chunks, row_bytes)
    with open(unfinished / PROGRESS, "a", encoding="ascii") as progress:
        for i, result in _pack_chunks(split, unfinished / IMAGES, header, chunks, done):
            done[i] = result
            progress.write(sealed({"chunk": i, **result}) + "\n")
            progress.flush()
    bad = {row: reason for i in sorted(done) for row, reason in done[i]["bad"].items()}
    if bad and split.on_bad_image == "error":  # found by a run that skips them
        raise UserError(next(iter(bad.values())))
    if describe_packing(split) != wanted:
        raise UserError(f"{split.root}: images or CSV have changed while they were packed: run it again")

    np.save(unfinished / LABELS, split.labels)
    np.save(unfinished / SIZES, np.array([size for i in sorted(done) for size in done[i]["sizes"]], np.int32))
    (unfinished / SOURCES).write_text(json.dumps(split.filenames), encoding="ascii")
    (unfinished / BAD).write_text(json.dumps(bad), encoding="ascii")
    blocks = {name: [_block(unfinished / name)] for name in (LABELS, SIZES, SOURCES, BAD)}
    pixels = [(len(chunks[i]) * row_bytes, done[i]["crc"]) for i in sorted(done)]
    blocks[IMAGES] = [_block(unfinished / IMAGES, header), *pixels]
    with open(unfinished / IMAGES, "rb+") as images:
        os.fsync(images.fileno())
    with written_whole(unfinished / ABOUT) as temporary:
        text = sealed({**wanted, "classes": split.classes, "blocks": blocks})
        temporary.write_text(text, encoding="ascii")
    os.replace(unfinished, folder)
    (folder / PROGRESS).unlink()


def _block(path: Path, length: int | None = None) -> tuple[int, int]:
    """(length, CRC-32) of the first bytes of a file, or of all."""
    length = path.stat().st_size if length is None else length
    return length, crc_of(path, 0, length)


def _begin_or_resume(
    unfinished: Path, wanted: dict, chunks: list[range], row_bytes: int
) -> tuple[int, dict[int, dict]]:
    """The length of the array's header, and {chunk: its crc, sizes and bad} that an interrupted run has left.

    What is made of something else is started over. A chunk counts if its pixels have the checksum that was
    noted: the note may have reached the disk before them.
    """
    images, progress = unfinished / IMAGES, unfinished / PROGRESS
    length = wanted["images"] * row_bytes
    noted = _read_progress(progress, wanted)
    header = images.stat().st_size - length if images.is_file() else 0
    if not noted or (header, len(chunks)) != (noted[0].get("header"), noted[0].get("chunks")):
        shutil.rmtree(unfinished, ignore_errors=True)
        _require_space(unfinished.parent, length)
        unfinished.mkdir()
        shape = (wanted["images"], *wanted["size"], 3)
        np.lib.format.open_memmap(images, mode="w+", dtype=np.uint8, shape=shape)
        header = images.stat().st_size - length
        noted = [{"wanted": wanted, "header": header, "chunks": len(chunks)}]
    done = {}
    for result in noted[1:]:
        with contextlib.suppress(KeyError, IndexError, TypeError):  # of a line that is not ours
            rows = chunks[result["chunk"]]
            if crc_of(images, header + rows.start * row_bytes, len(rows) * row_bytes) == result["crc"]:
                done[result.pop("chunk")] = {key: result[key] for key in ("crc", "sizes", "bad")}
    with written_whole(progress) as temporary:  # without a last line that was cut off
        lines = [noted[0], *({"chunk": i, **result} for i, result in done.items())]
        temporary.write_text("".join(f"{sealed(line)}\n" for line in lines), encoding="ascii")
    return header, done


def _read_progress(path: Path, wanted: dict) -> list[dict]:
    """The whole lines up to the first that is not; none if they are of something else than `wanted`."""
    noted = []
    with contextlib.suppress(FileNotFoundError, ValueError), open(path, encoding="ascii") as lines:
        for line in lines:
            noted.append(unsealed(line))
    return noted if noted and noted[0].get("wanted") == wanted else []


def _pack_chunks(
    split: FileSplit, images: Path, header: int, chunks: list[range], done: dict[int, dict]
) -> Iterator[tuple[int, dict]]:
    """(number of a chunk, its crc, sizes and bad) as they are written into `images` by a process a core."""
    absent = [i for i in range(len(chunks)) if i not in done]
    count = min(available_cores(), len(absent))
    settings = {"images": str(images), "header": header, "root": str(split.root), "size": split.size}
    settings.update(interpolation=split.interpolation, decode=split.decode)
    settings["skip"] = split.on_bad_image != "error"
    idle: SimpleQueue = SimpleQueue()

    def pack_chunk(i: int) -> tuple[int, dict]:
        process = idle.get()
        try:
            return i, process.pack(chunks[i].start, [split.filenames[row] for row in chunks[i]])
        finally:
            idle.put(process)

    with contextlib.ExitStack() as stack:
        for _ in range(count):
            idle.put(stack.enter_context(PackingProcess(settings)))
        title = "Packing {} {}x{}".format(split.split, *split.size)
        bar = stack.enter_context(tqdm(total=len(split), desc=title, unit="image", mininterval=0.5))
        bar.update(sum(len(chunks[i]) for i in done))
        pool = ThreadPoolExecutor(max(1, count))  # threads that wait for the processes
        stack.callback(pool.shutdown, cancel_futures=True)
        for packed in as_completed([pool.submit(pack_chunk, i) for i in absent]):
            i, result = packed.result()
            bar.update(len(chunks[i]))
            yield i, result


def _require_space(folder: Path, wanted: int) -> None:
    free = shutil.disk_usage(folder).free
    if wanted > free:
        reason = f"{wanted / 1e9:.2f} GB are needed and {free / 1e9:.2f} GB are free"
        raise OSError(errno.ENOSPC, reason, str(folder))
