"""The errors that a network is surest of, beside the training images that it finds most like them."""

from __future__ import annotations

import numpy as np

from ppcds.datasets.split import ImageSplit
from ppcds.engine.answers import Answers
from ppcds.report.page.pictures import data_uri

ERRORS, NEIGHBOURS = 12, 3
NEIGHBOUR_SIDE = 112  # px


def confident_errors(answers: Answers) -> np.ndarray:
    """Rows of the images that are taken for another class, the surest first."""
    wrong = np.flatnonzero(~answers.right)
    sure = answers.probabilities[wrong].max(axis=1)
    return wrong[np.argsort(-sure, kind="stable")]


def describe_errors(answers: Answers, count: int = ERRORS) -> list[dict]:
    """Of each error: picture, file, true, predicted, probability (of both), and its neighbours in train.

    A neighbour: picture, file, class, cosine (of the features).
    """
    rows = confident_errors(answers)[:count]
    if not len(rows):
        return []
    split, bank = answers.split, answers.bank
    found = []
    for row, neighbours, cosines in zip(rows, *answers.nearest(rows, NEIGHBOURS)):
        true, predicted = int(answers.labels[row]), int(answers.predicted[row])
        near = [
            {
                "picture": data_uri(bank.read_image(i), NEIGHBOUR_SIDE),
                "file": name_of(bank, i),
                "class": bank.classes[bank.labels[i]] if bank.labels[i] >= 0 else "no class",
                "alike": bank.labels[i] == true,
                "cosine": float(cosine),
            }
            for i, cosine in zip(neighbours.tolist(), cosines)
        ]
        found.append(
            {
                "picture": data_uri(split.read_image(int(row))),
                "file": name_of(split, int(row)),
                "true": split.classes[true],
                "predicted": split.classes[predicted],
                "probability": float(answers.probabilities[row, predicted]),
                "probability_of_true": float(answers.probabilities[row, true]),
                "neighbours": near,
            }
        )
    return found


def name_of(split: ImageSplit, row: int) -> str:
    """The file of an image, or its number in a layout that has many images in a file."""
    if hasattr(split, "filenames"):
        return split.filenames[row]
    return f"{split.split}, image {split.rows[row]}"
