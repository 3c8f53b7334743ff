"""Is a data set whole? Decodes every image, and says what is there."""

from __future__ import annotations

import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from tqdm import tqdm

from ppcds.datasets.images import IMAGE_SUFFIXES, read_image
from ppcds.datasets.split_table import Folders, read_table
from ppcds.datasets.sports10 import Sports10
from ppcds.datasets.stl10 import STL10, find_folder
from ppcds.errors import UserError
from ppcds.files import written_whole
from ppcds.options import did_you_mean
from ppcds.runtime import available_cores

SPLITS = ("train", "val")
SUMMARY = "prepare_summary.json"
SHOWN = 10  # of the files that a list of the printed summary names


def verify(folder: Path) -> dict:
    """Decode every image the CSVs of `folder` list; write and return `folder`/prepare_summary.json.

    splits: of each the number of images, also by class.  sizes: min, median and max of width and height in
    pixels, and the most common ones.  broken, missing: {filename: reason}.  unknown_classes: {class: reason}
    of what val has and train lacks ("" is no class), and in a folder Sports10 of what is none of its ten.
    not_listed: image files that no CSV has.  in_both_splits: filenames that train and val share.
    Of STL-10, whose images need no decoding, the sizes of the files and the labels are checked.
    Raises UserError if a CSV is missing or is none, or if a file of STL-10 is not whole.
    """
    summary = _summary_of_stl10(folder) if find_folder(folder) else _summary_of_csvs(folder)
    with written_whole(folder / SUMMARY) as temporary:
        temporary.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary


def _summary_of_csvs(folder: Path) -> dict:
    tables = {split: read_table(folder, split) for split in SPLITS}
    names = {split: table["filename"].str.replace("\\", "/", regex=False) for split, table in tables.items()}
    listed = list(dict.fromkeys(name for split in SPLITS for name in names[split]))
    folders = Folders(folder)
    missing = {name: reason for name in listed if (reason := folders.mistake(name))}
    sizes, broken = _decode_all(folder, [name for name in listed if name not in missing])
    normal = {os.path.normpath(name) for name in listed}
    classes = {split: dict(sorted(Counter(table["class"]).items())) for split, table in tables.items()}
    return {
        "images": len(listed),
        "splits": {
            split: {"images": len(table), "classes": classes[split]} for split, table in tables.items()
        },
        "sizes": _size_summary(sizes),
        "broken": broken,
        "missing": missing,
        "unknown_classes": _unknown_classes(classes, folder.name),
        "not_listed": [name for name in _image_files(folder) if os.path.normpath(name) not in normal],
        "in_both_splits": sorted(set(names["train"]) & set(names["val"])),
    }


def _summary_of_stl10(folder: Path) -> dict:
    splits = {}
    for split in SPLITS:
        labels = STL10(folder, split).labels  # which raises what is wrong
        names = Counter(STL10.CLASSES[label] if label >= 0 else "" for label in labels)
        splits[split] = {"images": len(labels), "classes": dict(sorted(names.items()))}
    images = sum(split["images"] for split in splits.values())
    return {
        "images": images,
        "splits": splits,
        "sizes": _size_summary(Counter({(96, 96): images})),
        "broken": {},
        "missing": {},
        "unknown_classes": {},
        "not_listed": [],
        "in_both_splits": [],
    }


def _unknown_classes(classes: dict[str, dict[str, int]], folder: str) -> dict[str, str]:
    """{class: reason} from the counts by split and class."""
    unknown = {}
    for name, count in classes["val"].items():
        if not name:
            unknown[name] = f"no class: {count} in val_split.csv"
        elif name not in classes["train"]:
            unknown[name] = f"{name!r}: {count} in val_split.csv, none in train_split.csv"
    if folder == Sports10.__name__:  # its layout has classes of its own
        for name in sorted({*classes["train"], *classes["val"]} - {"", *Sports10.CLASSES}):
            near = did_you_mean(name, Sports10.CLASSES)
            unknown[name] = f"{name!r}: no class of Sports10{near}"
    return unknown


def _decode_all(folder: Path, filenames: list[str]) -> tuple[Counter, dict[str, str]]:
    """Counts of the (width, height) of the sound images, and {filename: reason} of the others."""

    def decode(filename: str) -> tuple[int, int] | str:
        try:
            return read_image(folder / filename).shape[1::-1]
        except UserError as error:
            return str(error)

    sizes, broken = Counter(), {}
    # threads, not processes: OpenCV decodes outside Python's lock, and no worker has to load Paddle
    pool = ThreadPoolExecutor(available_cores())
    try:
        results = tqdm(pool.map(decode, filenames), total=len(filenames), desc="Verifying", unit="image")
        for filename, result in zip(filenames, results):
            if isinstance(result, str):
                broken[filename] = result
            else:
                sizes[result] += 1
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for the rest
    return sizes, broken


def _size_summary(sizes: Counter) -> dict:
    summary = {}
    for axis, name in enumerate(("width", "height")):
        values = [size[axis] for size in sizes.elements()]
        if values:
            summary[name] = {"min": min(values), "median": median(values), "max": max(values)}
    summary["most_common"] = {f"{width}x{height}": count for (width, height), count in sizes.most_common(5)}
    return summary


def _image_files(folder: Path) -> list[str]:
    found = []
    for parent, _, files in os.walk(folder):
        inner = Path(parent).relative_to(folder)
        found += [(inner / file).as_posix() for file in files if file.lower().endswith(IMAGE_SUFFIXES)]
    return sorted(found)


def report(summary: dict) -> str:
    """The summary as text: a table of images by class, the sizes, and what is wrong."""
    splits = summary["splits"]
    classes = sorted({name for split in splits.values() for name in split["classes"]})
    widest = max(len(name) for name in [*classes, "unlabelled"])
    lines = [" " * widest + "".join(f"{split:>9}" for split in splits)]
    for name in classes:
        counts = "".join(f"{split['classes'].get(name, 0):>9}" for split in splits.values())
        lines.append(f"{name or 'unlabelled':<{widest}}{counts}")
    lines.append(f"{'all':<{widest}}" + "".join(f"{split['images']:>9}" for split in splits.values()))
    sizes = summary["sizes"]
    for axis in ("width", "height"):
        if axis in sizes:
            lines.append("{0:<8}{min} to {max} pixels, median {median:g}".format(axis, **sizes[axis]))
    common = ", ".join(f"{size} ({count})" for size, count in sizes["most_common"].items())
    lines.append(f"most common sizes: {common or 'none'}")
    for title in ("broken", "missing", "unknown_classes", "not_listed", "in_both_splits"):
        lines.append(f"{title.replace('_', ' ')}: {len(summary[title])}")
        reasons = summary[title].values() if isinstance(summary[title], dict) else summary[title]
        lines += [f"  {reason}" for reason in list(reasons)[:SHOWN]]
        if len(summary[title]) > SHOWN:
            lines.append(f"  ... and {len(summary[title]) - SHOWN} more, all in {SUMMARY}")
    return "\n".join(lines)
