"""Which images belong together (frames of one game, photographs of one scene), and splits that part none."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from ppcds.datasets.csv_split import CSVSplit
from ppcds.datasets.file_split import FileSplit
from ppcds.datasets.table_file import GROUP, read_table
from ppcds.errors import UserError

NUMBERED = "numbered"  # a group pattern of that name: what a file is called before its last digits


def groups_of(filenames: list[str], pattern: str) -> np.ndarray:
    """The group [N] of each image, by its name.

    pattern: a regular expression searched for in the file's path below the root, with forward slashes; its
    first group, or all that it finds, is the image's group. "numbered" takes folder and name without the
    digits at the end: of "Soccer/fifa0012.jpg", "Soccer/fifa". Titles that themselves end in digits cannot be
    told from their numbers then ("fifa20" and "fifa21" become one group), which keeps more together than
    there is to keep, and parts nothing that belongs together.
    Raises UserError if it is no regular expression, or does not find a group in each name.
    """
    if pattern == NUMBERED:
        paths = [PurePosixPath(filename) for filename in filenames]
        return np.array(
            [str(path.with_name(path.stem.rstrip("0123456789") or "#")) for path in paths], dtype=object
        )
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(f"{pattern!r} is no regular expression: {error}") from None
    found = [compiled.search(filename) for filename in filenames]
    names = [match and match[min(1, compiled.groups)] for match in found]
    without = [filename for filename, name in zip(filenames, names) if not name]
    if without:
        raise UserError(
            f"{pattern!r} finds no group in {len(without)} of {len(names)} names, the first is {without[0]!r}"
        )
    return np.array(names, dtype=object)


def groups_of_split(split: FileSplit, pattern: str | None) -> np.ndarray | None:
    """The group [N] of each image of a whole split: by its name (groups_of), or its table's column `group`.

    None if no pattern is given and the table has no such column.
    """
    if pattern is not None:
        if not isinstance(split, FileSplit):
            raise UserError(f"{split.root}: its images are in no files of their own, whose names tell groups")
        return groups_of(split.filenames, pattern)
    if not isinstance(split, CSVSplit):
        return None
    table = read_table(split.root, split.split)
    return table[GROUP].to_numpy(dtype=object) if GROUP in table else None


def group_disjoint_folds(labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> list[np.ndarray]:
    """The validation rows of each fold: every labelled row in one of them, no group in two.

    labels: int64 [N], -1 = unlabelled.  groups: [N].  The classes are shared out as evenly as the groups
    allow (scikit-learn's StratifiedGroupKFold). Rows without a label are in no fold; those of a group of the
    fold must not be trained on either (see rows_of_other_groups).
    Raises UserError if a class has fewer groups than there are folds, which would leave a fold without it.
    """
    labelled = np.flatnonzero(labels >= 0)
    for label in np.unique(labels[labelled]):
        own = np.unique(groups[labels == label].astype(str))
        if len(own) < folds:
            raise UserError(
                f"a class has {len(own)} group(s) ({', '.join(own[:3])}), which cannot be in {folds} folds: "
                "ask for fewer, or for smaller groups"
            )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    parts = splitter.split(labelled, labels[labelled], groups[labelled].astype(str))
    return [labelled[np.sort(held)] for _, held in parts]


def rows_of_other_groups(groups: np.ndarray, held: np.ndarray) -> np.ndarray:
    """The rows whose group has none of the held rows."""
    return np.flatnonzero(~np.isin(groups.astype(str), np.unique(groups[held].astype(str))))
