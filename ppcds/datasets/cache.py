"""When the packed images of a split are used, and when they are made."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from ppcds.datasets.csv_split import CSVSplit
from ppcds.datasets.file_split import FileSplit
from ppcds.datasets.packed import NotUsable, PackedImages, describe_packing, folder_of, open_packed
from ppcds.datasets.packing import pack, unfinished_folder
from ppcds.datasets.split import ImageSplit
from ppcds.errors import UserError
from ppcds.files import NO_ROOM


def packed_images(split: ImageSplit, cache: str, say: Callable[[str], None] = print) -> PackedImages | None:
    """The packed images of a whole split, or None where its files are read.

    cache: "use" takes those there are, which are made anew if they are stale, damaged or unfinished; "build"
    also makes them if there are none; "ignore" does not look. If they cannot be written, `say` is told why.
    Raises UserError if an image is broken, or if "build" is asked of a layout without image files.
    """
    if cache == "ignore":
        return None
    if not isinstance(split, FileSplit):
        if cache == "build":
            raise UserError(
                f"data.cache build: {split.root} has its images in few files already, leave it at use"
            )
        return None
    folder = folder_of(split)
    if cache == "use" and not folder.exists() and not unfinished_folder(folder).exists():
        return None
    try:
        return make_packed(split, say)
    except OSError as error:
        if error.errno in NO_ROOM:  # which the run's checkpoints need
            shutil.rmtree(unfinished_folder(folder), ignore_errors=True)
        say(f"no packed images of {split.split}, the image files are read instead: {_explain(error)}")
        return None


def make_packed(split: FileSplit, say: Callable[[str], None] = print) -> PackedImages:
    """The packed images of a whole split, made if they are absent, stale, damaged or unfinished.

    Of processes that ask at once one makes them, and the others wait. Raises UserError for a broken image,
    OSError if they cannot be written.
    """
    folder, wanted = folder_of(split), describe_packing(split)
    with contextlib.suppress(NotUsable):
        return open_packed(folder, wanted)
    folder.parent.mkdir(exist_ok=True)
    with _alone(folder.with_name(f".{folder.name}.lock"), say):
        try:
            return open_packed(folder, wanted)  # another process has made it meanwhile
        except NotUsable as reason:
            if folder.exists():
                say(f"{folder} is made anew: {reason}")
                shutil.rmtree(folder)  # a process that still reads it keeps what it has mapped
        pack(split, wanted, folder)
    try:
        return open_packed(folder, wanted)
    except NotUsable as reason:
        raise OSError(errno.EIO, f"what was written cannot be read again: {reason}", str(folder)) from None


def pack_folder(
    folder: Path, size: tuple[int, int], interpolation: str, decode: str, say: Callable[[str], None] = print
) -> None:
    """Make the packed images of train and val of a folder in place, and say where they are.

    Raises UserError if they cannot be written or an image is broken, or if the folder has no image files.
    """
    if not (folder / "train_split.csv").is_file():
        raise UserError(f"--pack: {folder} has its images in few files already")
    for split in ("train", "val"):
        whole = CSVSplit(folder, split, [], size, interpolation, decode=decode)
        try:
            packed = make_packed(whole, say)
        except OSError as error:
            raise UserError(f"the images cannot be packed: {_explain(error)}") from error
        say(f"{packed.folder}: {len(packed)} images, {packed.pixels.nbytes / 1e9:.2f} GB")


def _explain(error: OSError) -> str:
    return ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)


@contextlib.contextmanager
def _alone(lock: Path, say: Callable[[str], None]) -> Iterator[None]:
    """One process at a time; the system ends the lock with the process, however that ends."""
    try:
        import fcntl
    except ImportError:  # Windows, where the second process fails to rename what it has made
        yield
        return
    with open(lock, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process packs the same images ({lock} is held): waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
