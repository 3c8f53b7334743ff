"""Subsets of labelled rows: stratified, nested and the same wherever and whenever they are drawn.

They follow from the labels and the seed alone (RandomState, whose numbers NumPy never changes). A row is a
position in `labels` (int64 [N], -1 = unlabelled); subsets are returned in rising order.
"""

from __future__ import annotations

import heapq

import numpy as np


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """A permutation of the labelled rows, each beginning of which has its share of every class.

    Of a class with n of the N labelled rows, the first m rows of the order hold m n / N, rounded up or down.
    """
    shuffled = np.random.RandomState(seed).permutation(np.flatnonzero(labels >= 0))
    of_shuffled, total = labels[shuffled], len(shuffled)
    # Row j of a class has to stand between positions floor(j N / n) and ceil((j + 1) N / n) - 1. Such an
    # order exists for any counts (Tijdeman 1980, the chairman assignment problem); taking what is due first
    # finds it.
    spans = []
    for label in np.unique(of_shuffled):
        places = np.flatnonzero(of_shuffled == label)
        j = np.arange(len(places), dtype=np.int64)
        first, last = j * total // len(places), -(-(j + 1) * total // len(places))
        spans += zip(first.tolist(), last.tolist(), places.tolist())
    spans.sort(reverse=True)
    order, waiting = [], []
    for position in range(total):
        while spans and spans[-1][0] <= position:
            heapq.heappush(waiting, spans.pop()[1:])  # equal deadlines: in the order of `shuffled`
        order.append(heapq.heappop(waiting)[1])
    return shuffled[order]


def labelled_subset(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """The rows that keep their label: of each class round(fraction * count), at least one.

    The rows of a smaller fraction are among those of a larger one.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction {fraction} is not above 0 and at most 1")
    order = stratified_order(labels, seed)
    kept = [order[:0]]
    for label, count in zip(*np.unique(labels[order], return_counts=True)):
        kept.append(order[labels[order] == label][: max(1, round(fraction * int(count)))])
    return np.sort(np.concatenate(kept))


def stratified_part(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` rows with the same shares of each class and of unlabelled rows; fewer are among more."""
    if not 0 < count <= len(labels):
        raise ValueError(f"{count} of {len(labels)} rows cannot be taken")
    return np.sort(stratified_order(labels + 1, seed)[:count])  # unlabelled rows as a class of their own


def hold_back(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(kept rows, held rows): a stratified share of the labelled rows, at least one, is held back.

    Unlabelled rows stay, since nothing can be measured on them, and so does one row of each class.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share {share} is not between 0 and 1")
    order = stratified_order(labels, seed)
    wanted = max(1, round(share * len(order))) if share else 0
    _, from_the_end = np.unique(labels[order][::-1], return_index=True)
    last_of_class = len(order) - 1 - from_the_end
    held = np.sort(np.delete(order, last_of_class)[:wanted])
    return np.setdiff1d(np.arange(len(labels)), held), held
