"""Embeddings as files that can be looked at: a table of nearest neighbours, and VisualDL's records."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestNeighbors
from visualdl import LogReader

from ppcds.engine.curves import Curves
from ppcds.engine.embed import Shown, write_embeddings
from ppcds.errors import UserError

NAMES = ("embeddings.npy", "embeddings.csv", "vdl")
MOST_SHOWN = 5000  # points of VisualDL's high-dimensional view, which a browser has to lay out


def write_embedding_files(
    folder: Path, embed: Callable, batches: Iterable[Shown], count: int, neighbours: int, tag: str
) -> tuple[tuple[int, int], int]:
    """Write NAMES into `folder`: see write_embeddings, write_neighbours, write_high_dimensional.

    Returns the embeddings' shape (N, D), and how many of them VisualDL shows.
    """
    table, csv_file, records = (folder / name for name in NAMES)
    names, classes = write_embeddings(table, embed, batches, count)
    rows = np.load(table, mmap_mode="r")
    write_neighbours(csv_file, names, classes, *nearest_neighbours(rows, neighbours))
    return rows.shape, write_high_dimensional(records, tag, rows, names, classes)


def nearest_neighbours(embeddings: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each row [N, D] the cosine distances (1 - cosine, 0 to 2) and row numbers [N, K], nearest first.

    A row is not its own neighbour.  K: `neighbours`, at most N - 1.
    """
    neighbours = min(neighbours, len(embeddings) - 1)
    if neighbours < 1:
        return np.zeros((len(embeddings), 0)), np.zeros((len(embeddings), 0), np.int64)
    search = NearestNeighbors(n_neighbors=neighbours, metric="cosine", algorithm="brute")
    distances, rows = search.fit(embeddings).kneighbors()
    return distances.clip(0, 2), rows


def write_neighbours(
    path: Path, names: Sequence[str], classes: Sequence[str], distances: np.ndarray, rows: np.ndarray
) -> None:
    """CSV: file, class, then neighbour1, distance1, neighbour2, ...; its rows are those of the .npy."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        ranks = range(1, rows.shape[1] + 1)
        writer.writerow(
            ["file", "class", *(f"{what}{i}" for i in ranks for what in ("neighbour", "distance"))]
        )
        for name, label, far, near in zip(names, classes, distances, rows):
            found = [cell for d, row in zip(far, near) for cell in (names[row], f"{d:.6f}")]
            writer.writerow([name, label, *found])


def write_high_dimensional(
    folder: Path, tag: str, embeddings: np.ndarray, names: Sequence[str], classes: Sequence[str]
) -> int:
    """VisualDL's records of at most MOST_SHOWN rows, evenly spaced, with class and file; returns how many.

    Raises UserError if they cannot be written.
    """
    chosen = np.unique(np.linspace(0, len(names) - 1, min(len(names), MOST_SHOWN)).round().astype(int))
    labels = {"class": [classes[i] for i in chosen], "file": [names[i] for i in chosen]}
    failed = []
    curves = Curves(folder, tag, lambda *_: True, failed.append)
    curves.embeddings(tag, embeddings[chosen], labels)
    curves.close()
    if failed or not _holds(folder, tag, len(chosen)):
        raise UserError(f"cannot write VisualDL's records to {folder}: is its disk full?")
    return len(chosen)


def _holds(folder: Path, tag: str, count: int) -> bool:
    """Whether so many embeddings can be read back: what VisualDL cannot write it only prints a warning of."""
    try:
        (file,) = folder.glob("*vdlrecords*.log")
        (record,) = LogReader(file_path=str(file)).get_data("embeddings", tag)
    except Exception:  # of whatever kind, of a file that is cut
        return False
    return len(record.embeddings.embeddings) == count
