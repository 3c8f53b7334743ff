"""Classes of the nearest neighbours: how good features are, without training anything on them."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from ppcds.errors import UserError

NEIGHBOURS = 20  # best for most networks of Caron et al. 2021 (arXiv:2104.14294); Wu et al. took 200
TEMPERATURE = 0.07  # Wu et al. 2018, section 3.4


class WeightedKNN:
    """The weighted nearest neighbours of Wu et al. 2018 (arXiv:1805.01978, section 3.4).

    Each of the k images of the bank with the largest cosine votes for its class with exp(cosine / T).
    bank: features [N, D] of any scale.  labels: [N]; rows of -1 are left out.
    neighbours: k, at most the labelled images of the bank.
    Raises UserError if the bank has no labelled image.
    """

    def __init__(
        self,
        bank: np.ndarray,
        labels: np.ndarray,
        neighbours: int = NEIGHBOURS,
        temperature: float = TEMPERATURE,
    ) -> None:
        labelled = labels >= 0
        if not labelled.any():
            raise UserError("nearest neighbours: none of the images to look among has a class")
        self.neighbours = min(neighbours, int(labelled.sum()))

        def votes(distances: np.ndarray) -> np.ndarray:
            # distance = 1 - cosine; divided by the nearest one's vote, lest a small T leave float's range
            nearest = distances.min(axis=1, keepdims=True)
            return np.exp((nearest - distances) / temperature)

        self.classifier = KNeighborsClassifier(
            self.neighbours, weights=votes, algorithm="brute", metric="cosine"
        )
        self.classifier.fit(bank[labelled], labels[labelled])

    def scores(self, queries: np.ndarray) -> np.ndarray:
        """Queries [M, D] -> shares of the votes [M, largest label of the bank + 1]; rows sum to 1."""
        classes = self.classifier.classes_
        scores = np.zeros((len(queries), classes[-1] + 1))
        scores[:, classes] = self.classifier.predict_proba(queries)
        return scores


def knn_accuracy(
    bank: np.ndarray,
    bank_labels: np.ndarray,
    queries: np.ndarray,
    query_labels: np.ndarray,
    neighbours: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
) -> float:
    """Share of the labelled queries [M, D] whose class has the most votes in the bank [N, D].

    Labels: [N] and [M], -1 = unlabelled.  Raises UserError if bank or queries have no labelled image.
    """
    labelled = query_labels >= 0
    if not labelled.any():
        raise UserError("nearest neighbours: none of the images to classify has a class")
    scores = WeightedKNN(bank, bank_labels, neighbours, temperature).scores(queries[labelled])
    return float((scores.argmax(axis=1) == query_labels[labelled]).mean())
