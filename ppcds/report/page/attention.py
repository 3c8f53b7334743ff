"""Where the evidence for a class is in some images that are told right, and some that are not."""

from __future__ import annotations

import numpy as np
import paddle

from ppcds.engine.answers import Answers
from ppcds.engine.grad_cam import grad_cam
from ppcds.report.page.errors import confident_errors, name_of
from ppcds.report.page.pictures import as_seen, data_uri, heated

EACH = 6  # of the wrong ones, and of the right ones
SIDE = 160  # px


def describe_attention(network: paddle.nn.Layer, answers: Answers, seed: int, each: int = EACH) -> list[dict]:
    """The surest errors, then as many right answers, drawn by chance: file, right, picture as it is shown to
    the network, and maps of the predicted class and, of an error, of the true class.

    A map: class, probability, picture.  Empty where there is no classifier.
    """
    if answers.by_neighbours:
        return []
    right = np.flatnonzero(answers.right)
    drawn = np.random.default_rng(seed).permutation(right)[:each]
    rows = np.concatenate([confident_errors(answers)[:each], np.sort(drawn)])
    if not len(rows):
        return []
    split = answers.split
    images = np.stack([split[int(row)][0][0] for row in rows])
    predicted, true = answers.predicted[rows], answers.labels[rows]
    maps = {
        kind: grad_cam(network, images, classes)
        for kind, classes in (("predicted", predicted), ("true", true))
    }
    found = []
    for i, row in enumerate(rows.tolist()):
        image = as_seen(images[i], split.views[0])
        kinds = [("predicted", predicted[i])]
        if not answers.right[row]:
            kinds.append(("true", true[i]))
        found.append(
            {
                "file": name_of(split, row),
                "right": bool(answers.right[row]),
                "picture": data_uri(image, SIDE),
                "maps": [
                    {
                        "kind": kind,
                        "class": split.classes[label],
                        "probability": float(answers.probabilities[row, label]),
                        "picture": data_uri(heated(enlarged(image), maps[kind][i]), SIDE),
                    }
                    for kind, label in kinds
                ],
            }
        )
    return found


def enlarged(image: np.ndarray) -> np.ndarray:
    """A small image [H, W, 3] with its pixels repeated up to SIDE, so that the map on it is smooth."""
    times = max(1, SIDE // max(image.shape[:2]))
    return image.repeat(times, axis=0).repeat(times, axis=1)
