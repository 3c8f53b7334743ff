"""Is a data set whole? Decodes every image, and says what is there."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from statistics import median

import pandas as pd

from ppcds.datasets.image_check import check_images, copies, first_of_each
from ppcds.datasets.images import IMAGE_SUFFIXES
from ppcds.datasets.repeated_rows import contradictions, repeated_rows
from ppcds.datasets.split_table import Folders
from ppcds.datasets.sports10 import Sports10
from ppcds.datasets.stl10 import STL10, find_folder
from ppcds.datasets.table_file import read_table
from ppcds.files import written_whole
from ppcds.options import did_you_mean

SPLITS = ("train", "val")
SUMMARY = "prepare_summary.json"
FAULTS = ("broken", "missing", "unknown_classes", "two_classes")
REMARKS = ("repeated_rows", "copies", "in_both_splits", "not_listed")


def verify(folder: Path) -> dict:
    """Decode every image the CSVs of `folder` list; write and return `folder`/prepare_summary.json.

    splits: of each the number of images, also by class.  sizes: min, median and max of width and height in
    pixels, and the most common ones.  broken, missing: {filename: reason}.  unknown_classes: {class: reason}
    of what val has and train lacks ("" is no class), and in a folder Sports10 of what is none of its ten.
    two_classes: {filename: reason} of files that rows of one CSV give different classes.
    repeated_rows: {filename: reason} of files that several rows of one CSV name.  copies: {filename: reason}
    of files whose bytes are those of another file of the same CSV.  in_both_splits: of files of val whose
    bytes train has too, under whatever name.  not_listed: image files that no CSV has.
    Of STL-10, whose images need no decoding, the sizes of the files and the labels are checked.
    Raises UserError if a CSV is missing or is none, or if a file of STL-10 is not whole.
    """
    summary = _summary_of_stl10(folder) if find_folder(folder) else _summary_of_csvs(folder)
    with written_whole(folder / SUMMARY) as temporary:
        temporary.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary


def count_faults(summary: dict) -> int:
    """Of what training would refuse."""
    return sum(len(summary[kind]) for kind in FAULTS)


def _summary_of_csvs(folder: Path) -> dict:
    tables = {split: read_table(folder, split) for split in SPLITS}
    names = {split: table["filename"].unique().tolist() for split, table in tables.items()}
    listed = list(dict.fromkeys(name for split in SPLITS for name in names[split]))
    folders = Folders(folder)
    absent = folders.missing(set(listed))
    missing = {name: folders.mistake(name) for name in listed if name in absent}
    checked = check_images(folder, [name for name in listed if name not in missing])
    classes = {split: dict(sorted(Counter(table["class"]).items())) for split, table in tables.items()}
    return {
        "images": len(listed),
        "splits": {
            split: {"images": len(table), "classes": classes[split]} for split, table in tables.items()
        },
        "sizes": _size_summary(checked.sizes),
        "broken": checked.broken,
        "missing": missing,
        "unknown_classes": _unknown_classes(classes, folder.name),
        "not_listed": sorted(set(_image_files(folder)) - set(listed)),
        **_said_twice(tables, names, checked.digests),
    }


def _said_twice(
    tables: dict[str, pd.DataFrame], names: dict[str, list[str]], digests: dict[str, bytes]
) -> dict[str, dict[str, str]]:
    """The entries two_classes, repeated_rows, copies and in_both_splits of the summary."""
    found: dict[str, dict[str, str]] = {"two_classes": {}, "repeated_rows": {}, "copies": {}}
    class_of, originals = {}, {}
    for split, table in tables.items():
        csv = f"{split}_split.csv"
        for name, lines in contradictions(table).items():
            found["two_classes"][name] = "; ".join(f"{csv} line {n}: {said}" for n, said in lines.items())
        for name, lines in repeated_rows(table).items():
            found["repeated_rows"][name] = f"{name}: {lines} of {csv}"
        class_of[split] = dict(zip(table["filename"], table["class"]))
        originals[split] = first_of_each(digests, names[split])
        own = class_of[split]
        found["copies"].update(copies(digests, names[split], originals[split], own, own))
    both = {name: f"{name} is in both" for name in names["val"] if name in class_of["train"]}
    both.update(copies(digests, names["val"], originals["train"], class_of["val"], class_of["train"]))
    return {**found, "in_both_splits": dict(sorted(both.items()))}


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
        **{kind: {} for kind in (*FAULTS, *REMARKS)},
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


def _size_summary(sizes: Counter) -> dict:
    summary = {}
    for axis, name in enumerate(("width", "height")):
        values = [size[axis] for size in sizes.elements()]
        if values:
            summary[name] = {"min": min(values), "median": median(values), "max": max(values)}
    summary["most_common"] = {f"{width}x{height}": count for (width, height), count in sizes.most_common(5)}
    return summary


def _image_files(folder: Path) -> list[str]:
    """Their names below the folder; bytes that are no UTF-8 as escapes."""
    found = []
    for parent, _, files in os.walk(folder):
        inner = Path(parent).relative_to(folder)
        found += [(inner / file).as_posix() for file in files if file.lower().endswith(IMAGE_SUFFIXES)]
    return [name.encode("utf-8", "backslashreplace").decode() for name in found]
