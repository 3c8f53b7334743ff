"""New pairs of train and val for a data set that is in place, by groups; and what an old pair shares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ppcds.datasets.class_folders import ClassFolders
from ppcds.datasets.groups import group_disjoint_folds, groups_of, rows_of_other_groups
from ppcds.datasets.leaks import leak_table
from ppcds.datasets.table_file import read_table
from ppcds.errors import UserError
from ppcds.files import written_whole

SHOWN = 10  # pairs that are printed; all are in the CSV


def split_anew(
    root: Path, name: str, group: str | None, folds: int, all_folds: bool, seed: int, force: bool
) -> None:
    """Write <name>_train_split.csv and <name>_val_split.csv into `root`, or a pair <name><k> for each fold.

    The columns are filename, class and group. group: see groups_of; None takes the column of the tables there
    are.  folds: val is one of so many parts, or of as many as the class with the fewest groups allows.
    Raises UserError, before anything is written, if groups are missing or too few, or a file is there.
    """
    if not name.isidentifier():
        raise UserError(f"--name {name}: use letters, digits and _, it becomes the beginning of file names")
    table = pd.concat([_table(root, split, group) for split in ("train", "val")], ignore_index=True)
    table = table.drop_duplicates("filename", ignore_index=True)
    classes = sorted(set(table["class"]) - {""})
    labels = pd.Index(classes).get_indexer(table["class"]).astype(np.int64)  # "": -1
    groups = table["group"].to_numpy(dtype=object)
    if not all_folds:
        fewest = int(table[labels >= 0].groupby("class")["group"].nunique().min())
        folds = max(2, min(folds, fewest))
    held = group_disjoint_folds(labels, groups, folds, seed)
    pairs = {f"{name}{k}": rows for k, rows in enumerate(held)} if all_folds else {name: held[0]}
    paths = [root / f"{pair}_{split}_split.csv" for pair in pairs for split in ("train", "val")]
    there = [path for path in paths if path.exists()]
    if there and not force:
        raise UserError(f"{there[0]} is there already: name other splits, or replace them with --force")
    for pair, rows in pairs.items():
        kept = rows_of_other_groups(groups, rows)
        for split, chosen in (("train", kept), ("val", rows)):
            with written_whole(root / f"{pair}_{split}_split.csv") as temporary:
                table.iloc[chosen].to_csv(temporary, index=False)
        count = len(set(groups[rows]))
        print(
            f"{pair}: {len(kept)} training and {len(rows)} validation images, of {len(set(groups[kept]))} "
            f"and {count} groups; train on them with -o data.splits={pair}"
        )


def report_leaks(root: Path, name: str | None, group: str | None) -> int:
    """Print what train and val of a pair share, and write <val's table>_leaks.csv; 1 if they share anything.

    Groups on both sides are counted where `group` or a column tells them.
    """
    prefix = f"{name}_" if name else ""
    tables = {split: _table(root, f"{prefix}{split}", group, needed=False) for split in ("train", "val")}
    names = {split: list(dict.fromkeys(table["filename"])) for split, table in tables.items()}
    both = sorted(set(names["train"]) & set(names["val"]))
    shared = sorted(set(tables["train"].get("group", ())) & set(tables["val"].get("group", ())))
    leaks = leak_table(root, names["train"], [name for name in names["val"] if name not in set(both)])
    path = root / f"{prefix}leaks.csv"
    with written_whole(path) as temporary:
        leaks.to_csv(temporary, index=False)
    for said, found in (
        ("files are in both splits", both),
        ("groups are on both sides", shared),
        ("validation images are a training image, byte for byte", leaks[leaks["same_bytes"]]["val"].tolist()),
        ("more are nearly one", leaks[~leaks["same_bytes"].astype(bool)]["val"].tolist()),
    ):
        print(f"{len(found):6d} {said}{': ' + ', '.join(found[:SHOWN]) if found else ''}")
    if "group" not in tables["val"]:
        print("       groups are not known: name them by --group, or in a column group")
    print(f"  pairs      {path}")
    return int(bool(both or shared or len(leaks)))


def _table(root: Path, split: str, group: str | None, needed: bool = True) -> pd.DataFrame:
    """filename, class and group (if it can be told) of each row of a split."""
    if (root / f"{split}_split.csv").is_file() or split not in ("train", "val"):
        table = read_table(root, split).reset_index(drop=True)
    else:
        folders = ClassFolders(root, split)
        names = [folders.classes[label] for label in folders.labels]
        table = pd.DataFrame({"filename": folders.filenames, "class": names})
    if group is not None:
        table["group"] = groups_of(table["filename"].tolist(), group)
    elif "group" not in table and needed:
        raise UserError(f"{root / split}_split.csv has no column group: tell groups by --group")
    elif "group" in table and (table["group"] == "").any():
        row = int((table["group"] == "").to_numpy().argmax())
        raise UserError(f"{split}_split.csv: {table['filename'][row]!r} is in no group")
    return table
