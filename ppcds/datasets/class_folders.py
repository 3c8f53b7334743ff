"""Images sorted into a folder for each class, as they are: no table is needed, and none is written."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from ppcds.datasets.file_split import FileSplit
from ppcds.datasets.images import IMAGE_SUFFIXES
from ppcds.errors import UserError
from ppcds.options import did_you_mean

SPLITS = ("train", "val")
NO_CLASSES = ("packed", "__MACOSX")  # folders that are no class: ours, and what macOS adds to archives
IN_VAL = 5  # where there is no folder val: one image in so many of each class


class ClassFolders(FileSplit):
    """One split of `root`/train/<class>/... and `root`/val/<class>/..., or of `root`/<class>/... alone.

    Of the latter one image in five of each class is "val", always the same ones: those whose names' SHA-256
    come first. Folders in a class's folder belong to the class; other files than images are passed over, and
    so are folders whose name begins with a dot.
    split: "train" or "val".  classes: names in the order of their ids, or None for the sorted names of the
    folders of train.  views, size, interpolation, decode: see ImageSplit. Attributes: those of FileSplit.
    Raises UserError if that is not what `root` holds.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        split: str = "train",
        views: list | None = None,
        size: tuple[int, int] | None = (72, 128),
        interpolation: str = "bilinear",
        classes: tuple[str, ...] | None = None,
        decode: str = "exact",
    ):
        root = Path(root)
        if split not in SPLITS:
            raise UserError(f"{root}: class folders have the splits train and val, not {split!r}")
        found = _list_split(root, split)
        classes = tuple(classes or (found if split == "train" else self.class_names(root)))
        for name in found:
            if name not in classes:
                raise UserError(
                    f"{root}: {split} has a folder of class {name!r}{did_you_mean(name, classes)}"
                )
        filenames = [filename for part in found.values() for filename in part]
        labels = np.repeat([classes.index(name) for name in found], [len(part) for part in found.values()])
        super().__init__(
            root, split, classes, filenames, labels.astype(np.int64), views, size, interpolation, decode
        )
        self._digest = hashlib.sha256(repr([filenames, labels.tolist()]).encode("utf-8", "surrogateescape"))

    @classmethod
    def class_names(cls, root: Path, split: str = "train") -> tuple[str, ...]:
        """The sorted names of the class folders of a split."""
        return tuple(_list_split(root, split))

    def list_digest(self) -> str:
        """SHA-256 of the names and labels."""
        return self._digest.hexdigest()


def _list_split(root: Path, split: str) -> dict[str, list[str]]:
    """{class: filenames relative to root} of a split, in the order of the names."""
    if not root.is_dir():
        raise UserError(f"no folder {root}: expected one that holds a folder for each class")
    there = [name for name in SPLITS if (root / name).is_dir()]
    if len(there) == 1:
        raise UserError(
            f"{root} has a folder {there[0]} and no {(set(SPLITS) - set(there)).pop()}: it takes both, or "
            "the class folders themselves, of which one image in five becomes val"
        )
    if there:
        return _list_classes(root, f"{split}/")
    return {name: _part(filenames, split) for name, filenames in _list_classes(root, "").items()}


def _part(filenames: list[str], split: str) -> list[str]:
    """The images of a class that are of this split."""
    by_digest = sorted(
        filenames, key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    )
    count = max(1, len(filenames) // IN_VAL) if len(filenames) > 1 else 0
    return sorted(by_digest[:count] if split == "val" else by_digest[count:])


def _list_classes(root: Path, below: str) -> dict[str, list[str]]:
    """{class: filenames} of the class folders in root/below; filenames are relative to root."""
    classes, loose = {}, ""
    with os.scandir(root / below) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if (
                entry.is_dir(follow_symlinks=False)
                and not entry.name.startswith(".")
                and entry.name not in NO_CLASSES
            ):
                filenames = _list_images(root, below + entry.name)
                if not filenames:
                    raise UserError(f"{root / below / entry.name} has no image: is it a class? Take it away")
                classes[entry.name] = filenames
            elif entry.name.lower().endswith(IMAGE_SUFFIXES):
                loose = loose or entry.name
    if loose:
        raise UserError(f"{root / below / loose} lies in no class's folder, beside {len(classes)} of them")
    if len(classes) < 2:
        raise UserError(f"{root / below} has {len(classes)} folders with images: expected one for each class")
    return classes


def _list_images(root: Path, folder: str) -> list[str]:
    """The images in a folder and those in it, in the order of their names, without links that lead out."""
    real_root = os.path.join(os.path.realpath(root), "")
    found = []
    for path, folders, names in os.walk(root / folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inner = Path(path).relative_to(root).as_posix()
        for name in names:
            if not name.lower().endswith(IMAGE_SUFFIXES) or name.startswith("."):
                continue
            file = os.path.join(path, name)
            if os.path.islink(file) and not os.path.realpath(file).startswith(real_root):
                raise UserError(
                    f"{file} is a link that leaves {root}: copy the image, or link it on the disk"
                )
            found.append(f"{inner}/{name}")
    return sorted(found)
