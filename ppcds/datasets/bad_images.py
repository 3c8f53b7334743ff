"""What stands in the place of an image that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ppcds.errors import UserError

if TYPE_CHECKING:
    from ppcds.datasets.batch_maker import Part

LEFT_OUT = -2  # the label of an image that does not count, because it cannot be read
GO_ON = "mend it or take its row out of the table, or go on without it: -o data.on_bad_image=skip"


class Substitutes:
    """Rows that may take the place of one of a batch; which, follows from the batch and a seed alone.

    labels: int64 [N] of all rows.  batch: the rows of the whole batch, whoever makes a part of it.  They are
    of the same kind, labelled or not. Rows of the batch come last, since a contrastive loss takes an image
    and itself for two; and each place has rows of its own to choose from first, so that processes that make
    different places of one batch choose different ones.
    """

    def __init__(self, labels: np.ndarray, batch: np.ndarray, seed: int) -> None:
        self.labels, self.batch = labels, batch
        order = np.random.RandomState(seed).permutation(len(labels))
        inside = np.isin(order, batch)
        self.others, self.inside = order[~inside], order[inside]

    def of(self, place: int) -> Iterator[int]:
        """The rows for a place of the batch, the first choice first."""
        row, step = self.batch[place], len(self.batch)
        labelled = self.labels[row] >= 0
        for rows in (self.others, self.inside):
            alike = rows[(self.labels[rows] >= 0) == labelled]
            yield from alike[place::step].tolist()
            for start in range(place + 1, place + step):
                yield from alike[start % step :: step].tolist()


def load_readable(dataset, part: Part, used: np.ndarray, seed: int) -> list[np.ndarray] | np.ndarray:
    """The images of a part of a batch; dataset.on_bad_image says what is done about one that is bad.

    used: the part's rows, changed where another image is taken ("replace"), or none ("leave out": -1).
    Raises UserError with the name of a bad image ("error"), or if no other can be read.
    """
    policy = getattr(dataset, "on_bad_image", "error")
    if policy == "error":
        try:
            return dataset.load_images(part.rows)
        except UserError as error:
            raise UserError(f"{error}; {GO_ON}") from error

    def otherwise(place: int, error: UserError) -> np.ndarray:
        if policy == "leave out":
            used[place] = -1
            return np.zeros((*dataset.size, 3), np.uint8)
        for row in _substitutes(dataset, part, seed).of(part.start + place):
            try:
                image = dataset.load_image(row)
            except UserError:
                continue
            used[place] = row
            return image
        raise UserError(f"no image of {dataset.split} can be read to take the place of a bad one: {error}")

    return dataset.load_images(part.rows, otherwise)


def note_unreadable(dataset, part: Part, used: np.ndarray, seed: int) -> None:
    """Put into dataset.unreadable which images could not be read, and why.

    used: what load_readable has made of the part's rows, perhaps in another process.
    """
    for place in np.flatnonzero(used != part.rows).tolist():
        _note(dataset, part.rows[place])
        if used[place] >= 0:
            for row in _substitutes(dataset, part, seed).of(part.start + place):
                if row == used[place]:
                    break
                _note(dataset, row)  # nor could it be


def _substitutes(dataset, part: Part, seed: int) -> Substitutes:
    return Substitutes(np.asarray(dataset.labels), np.asarray(part.whole), seed)


def _note(dataset, row: int) -> None:
    number = int(dataset.rows[row])
    if number in dataset.unreadable:
        return
    try:
        dataset.load_image(row)
        reason = f"{dataset.root}: image {number} of {dataset.split} could not be read at first"
    except UserError as error:
        reason = str(error)
    dataset.unreadable[number] = reason


def readable(found: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a network says of images [N, ...], and their labels [N], without those that were left out.

    Raises UserError if none is left.
    """
    kept = labels != LEFT_OUT
    if not kept.any():
        raise UserError(f"none of the {len(labels)} images can be read: is their disk there?")
    return found[kept], labels[kept]
