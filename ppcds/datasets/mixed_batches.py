"""Batches of labelled and unlabelled rows in a fixed proportion, each kind repeated without end."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ppcds.errors import UserError
from ppcds.runtime import seed_for


def mixed_batches(
    labels: np.ndarray, batch_size: int, labelled_per_batch: int, count: int, seed: int, epoch: int
) -> list[list[int]]:
    """`count` batches of an epoch: rows with a label first, then batch_size - labelled_per_batch without.

    labels: int64 [N], -1 = unlabelled. Both kinds go on from epoch to epoch where they stopped, so that no
    image is ever used twice more than another of its kind; still the batches follow from (seed, epoch) alone.
    An image stands twice in one batch only if its kind has fewer images than a batch needs.
    Raises UserError if a kind that is needed has no rows, or if labelled_per_batch is above batch_size.
    """
    if labelled_per_batch > batch_size:
        raise UserError(
            f"data.labelled_per_batch {labelled_per_batch} is larger than data.batch_size {batch_size}"
        )
    unlabelled_per_batch = batch_size - labelled_per_batch
    labelled, unlabelled = np.flatnonzero(labels >= 0), np.flatnonzero(labels < 0)
    if not len(labelled):
        raise UserError(f"data.labelled_per_batch {labelled_per_batch}: no training image has a label")
    if unlabelled_per_batch and not len(unlabelled):
        raise UserError(
            f"data.labelled_per_batch {labelled_per_batch} leaves {unlabelled_per_batch} of a batch to "
            "unlabelled images, and there are none: lower data.label_fraction, or leave the key out"
        )
    kinds = [(labelled, labelled_per_batch), (unlabelled, unlabelled_per_batch)]
    parts = [
        rows[_positions(len(rows), per_batch, count, seed_for(seed, kind), epoch)]
        for kind, (rows, per_batch) in enumerate(kinds)
        if per_batch
    ]
    return np.concatenate(parts, axis=1).tolist()


def _positions(size: int, per_batch: int, count: int, seed: int, epoch: int) -> np.ndarray:
    """[count, per_batch] numbers below `size`: this epoch's part of the endless sequence of permutations."""
    start, length = epoch * count * per_batch, count * per_batch
    first = start // size
    found, skipped = [], start - first * size
    for permutation in _permutations(size, per_batch, seed, first):
        found.append(permutation[skipped : skipped + length])
        length -= len(found[-1])
        skipped = 0
        if not length:
            return np.concatenate(found).reshape(count, per_batch)


def _permutations(size: int, per_batch: int, seed: int, first: int) -> Iterator[np.ndarray]:
    """Permutation number `first` and all later ones, their first rows chosen to differ from the last before.

    A batch that begins in one permutation and ends in the next would have rows twice. So the next one's
    part of it is made of its first rows that the batch does not have yet: its first `per_batch` may change
    places, no others.
    """
    if size < per_batch:
        since = first  # twice in a batch whatever one does
    elif size < 2 * per_batch:
        # each one's end depends on its beginning: from where a batch and a permutation began together
        since = first - first % (per_batch // math.gcd(size, per_batch))
    else:
        since = max(first - 1, 0)  # its beginning is not right, but its end is, and that is all that counts
    before, number = None, since
    while True:
        order = np.random.RandomState(seed_for(seed, number)).permutation(size)
        begun = number * size % per_batch  # rows that the batch has from the permutation before
        if begun and before is not None and size >= per_batch:
            head = order[:per_batch]
            others = head[~np.isin(head, before[size - begun :])][: per_batch - begun]
            order[:per_batch] = np.concatenate([others, head[~np.isin(head, others)]])
        if number >= first:
            yield order
        before, number = order, number + 1
