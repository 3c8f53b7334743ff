"""Answers without a network."""

from types import SimpleNamespace

import numpy as np
import pytest

from ppcds.engine.answers import Answers


@pytest.fixture
def make_answers():
    """make(probabilities, labels, classes, files, seed): answers of a classifier to those images.

    Images are noise of 20x30 px, twice as many of them are in train.
    """

    def make(probabilities, labels, classes=("a", "b"), files=None):
        probabilities, labels = np.asarray(probabilities, float), np.asarray(labels)
        count = len(labels)

        def split(name, labels, files):
            images = np.random.RandomState(0).randint(0, 256, (len(labels), 20, 30, 3)).astype("uint8")
            return SimpleNamespace(
                split=name, classes=tuple(classes), labels=labels, rows=np.arange(len(labels)),
                filenames=files, read_image=lambda row: images[row], root="somewhere",
                __len__=lambda: len(labels),
            )  # fmt: skip

        features = np.random.RandomState(1).rand(count, 4)
        files = files or [f"{i}.jpg" for i in range(count)]
        bank = split("train", np.tile(labels, 2), [f"near {i}.jpg" for i in range(2 * count)])
        shown = split("val", labels, files)
        return SplitAnswers(
            shown,
            labels,
            np.log(probabilities),
            probabilities,
            features,
            bank,
            np.tile(features, (2, 1)),
            False,
        )

    return make


class SplitAnswers(Answers):
    """Answers whose splits are stand-ins without a length."""

    def nearest(self, rows, count):
        return np.tile(np.arange(count), (len(rows), 1)), np.full((len(rows), count), 0.9)
