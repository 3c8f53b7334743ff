"""A linear classifier on frozen features: the usual measure of a representation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle.nn.initializer import Constant
from scipy.special import log_softmax
from sklearn.preprocessing import StandardScaler

from ppcds.datasets.loader import batches_of
from ppcds.datasets.subset import hold_back as hold_back_rows
from ppcds.datasets.subset import labelled_subset
from ppcds.engine.features import Features, effective_rank
from ppcds.engine.knn import NEIGHBOURS, knn_accuracy
from ppcds.errors import UserError
from ppcds.runtime import seed_for

RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # few features want large rates, many small ones


@dataclasses.dataclass(frozen=True)
class ProbeResult:
    """What a linear probe found.

    accuracy: on the test rows, measured once, of the classifier trained on all labelled rows.
    learning_rate: the one it was trained with.  held_back_accuracy: of that rate when it was chosen.
    sweep: {learning rate: accuracy on the part held back}.  train_images: labelled rows.
    warning: what casts doubt on the accuracy, in words, or "".
    """

    accuracy: float
    learning_rate: float
    held_back_accuracy: float
    sweep: dict[float, float]
    train_images: int
    warning: str


def linear_probe(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    test_features: np.ndarray,
    test_labels: np.ndarray,
    rates: Sequence[float] = RATES,
    epochs: int = 50,
    hold_back: float = 0.1,
    seed: int = 0,
) -> ProbeResult:
    """Train a linear classifier on features [N, D] and measure it on others [M, D].

    labels: [N] and [M]; rows of -1 do not count.  hold_back: the share of the labelled training rows on
    which the learning rate is chosen among `rates`, drawn several times where that is fewer than 500; then
    all of them are trained on.
    The result follows from the arguments alone.  Raises UserError if there are too few labels.
    """
    features, labels = _labelled(train_features, train_labels, "train")
    tested, test_labels = _labelled(test_features, test_labels, "test")
    rates, classes = sorted(rates), int(labels.max()) + 1
    accuracies, likelihoods = np.mean(
        [
            _hold_back_and_try(features, labels, classes, rates, epochs, hold_back, seed_for(seed, draw))
            for draw in range(_draws(len(labels) * hold_back))
        ],
        axis=0,
    )
    # where rates tie in accuracy, the one that fits the rows better is taken
    best = max(range(len(rates)), key=lambda i: (accuracies[i], likelihoods[i]))

    logits = _train(features, labels, tested, classes, [rates[best]], epochs, seed)[0]
    return ProbeResult(
        accuracy=float((logits.argmax(1) == test_labels).mean()),
        learning_rate=rates[best],
        held_back_accuracy=float(accuracies[best]),
        sweep=dict(zip(rates, accuracies.tolist())),
        train_images=len(labels),
        warning=_edge_warning(rates, accuracies, best),
    )


def measure_representation(
    train: Features, test: Features, fractions: Sequence[float], subset_seed: int = 0, seed: int = 0
) -> dict:
    """Effective rank, accuracy of nearest neighbours, and a linear probe on each fraction of the labels.

    Of features of train and test images, as numbers and names for JSON. The labels of a fraction are those
    that data.label_fraction keeps under data.subset_seed; neighbours are looked for among all of train.
    """
    features, labels = train
    probes = []
    for fraction in fractions:
        rows = labelled_subset(labels, fraction, subset_seed)
        result = linear_probe(features[rows], labels[rows], *test, seed=seed)
        probes.append({"label_fraction": fraction, **dataclasses.asdict(result)})
    return {
        "test_images": int((test[1] >= 0).sum()),
        "feature_dim": features.shape[1],
        "effective_rank": effective_rank(features),
        "seed": seed,
        "knn_neighbours": NEIGHBOURS,
        "knn_images": int((labels >= 0).sum()),
        "knn_accuracy": knn_accuracy(*train, *test),
        "linear_probe": probes,
    }


def _draws(held: float) -> int:
    """How often to hold rows back, since one draw of a few says little: ten times, for 500 rows in all."""
    return min(10, math.ceil(500 / max(held, 1)))


def _hold_back_and_try(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    rates: Sequence[float],
    epochs: int,
    hold_back: float,
    seed: int,
) -> tuple[list[float], list[float]]:
    """Accuracy and mean log-likelihood of each rate on one draw of rows that are held back."""
    kept, held = hold_back_rows(labels, hold_back, seed)
    if not len(held):
        raise UserError(
            f"linear probe: of {len(labels)} labelled images none can be held back, as no class has two: "
            "use more labels"
        )
    logits = _train(features[kept], labels[kept], features[held], classes, rates, epochs, seed)
    right = [float((of_rate.argmax(1) == labels[held]).mean()) for of_rate in logits]
    likelihoods = [log_softmax(of_rate, 1)[np.arange(len(held)), labels[held]].mean() for of_rate in logits]
    return right, likelihoods


def _labelled(features: np.ndarray, labels: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    rows = labels >= 0
    if not rows.any():
        raise UserError(f"linear probe: none of the {what} images has a class")
    return features[rows], labels[rows]


def _train(
    features: np.ndarray,
    labels: np.ndarray,
    others: np.ndarray,
    classes: int,
    rates: Sequence[float],
    epochs: int,
    seed: int,
) -> np.ndarray:
    """Train on features [N, D] at every rate at once; logits [R, M, classes] of others [M, D].

    SGD with momentum 0.9, no weight decay, cosine to 0, batches of 256, features standardised by their own
    statistics, weights from 0.
    """
    batch = min(256, len(labels))
    scaler = StandardScaler().fit(features)
    inputs = paddle.to_tensor(scaler.transform(features).astype(np.float32))
    targets = paddle.to_tensor(np.repeat(labels[:, None], len(rates), axis=1))
    factors = paddle.to_tensor(np.asarray(rates, np.float32))
    zero = paddle.ParamAttr(initializer=Constant(0.0))
    layer = paddle.nn.Linear(features.shape[1], len(rates) * classes, weight_attr=zero, bias_attr=zero)
    schedule = paddle.optimizer.lr.CosineAnnealingDecay(1.0, T_max=epochs * (len(labels) // batch))
    optimizer = paddle.optimizer.Momentum(schedule, momentum=0.9, parameters=layer.parameters())
    for epoch in range(epochs):
        for rows in batches_of(len(labels), batch, drop_last=True, shuffle_seed=seed_for(seed, epoch)):
            rows = paddle.to_tensor(rows)
            logits = layer(paddle.gather(inputs, rows)).reshape([batch, len(rates), classes])
            losses = F.cross_entropy(logits, paddle.gather(targets, rows), reduction="none").mean(axis=0)
            # a step is linear in the gradient: a loss times its rate, at rate 1, is the loss at its rate
            (losses.flatten() * factors).sum().backward()
            optimizer.step()
            optimizer.clear_grad()
            schedule.step()
    found = scaler.transform(others) @ layer.weight.numpy() + layer.bias.numpy()
    return found.reshape(len(others), len(rates), classes).transpose(1, 0, 2)


def _edge_warning(rates: Sequence[float], accuracies: Sequence[float], best: int) -> str:
    """Words if the best rate is the first or the last of several, and better than the one beside it."""
    if len(rates) == 1 or 0 < best < len(rates) - 1:
        return ""
    which, beside, way = ("smallest", 1, "smaller") if best == 0 else ("largest", best - 1, "larger")
    if accuracies[beside] == accuracies[best]:
        return ""
    return (
        f"learning rate {rates[best]:g} is the {which} that was tried, and the best: a {way} one may be "
        "better still"
    )
