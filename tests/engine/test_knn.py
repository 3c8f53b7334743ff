"""Weighted nearest neighbours against a loop written from the paper."""

import numpy as np
import paddle
import pytest

from ppcds.engine.features import extract_features
from ppcds.engine.knn import WeightedKNN, knn_accuracy
from ppcds.errors import UserError


def loop_scores(bank, labels, queries, neighbours, temperature):
    """Wu et al. 2018, section 3.4: each neighbour votes exp(cosine / T) for its class."""
    classes = labels.max() + 1
    scores = np.zeros((len(queries), classes))
    for q, query in enumerate(queries):
        cosines = []
        for row, label in zip(bank, labels):
            if label >= 0:
                cosine = row @ query / (np.linalg.norm(row) * np.linalg.norm(query))
                cosines.append((cosine, label))
        for cosine, label in sorted(cosines, reverse=True)[:neighbours]:
            scores[q, label] += np.exp(cosine / temperature)
    return scores / scores.sum(axis=1, keepdims=True)


def data(seed=0, bank=60, queries=40, classes=5, dim=8):
    random = np.random.RandomState(seed)
    means = random.normal(size=(classes, dim))
    labels = random.randint(0, classes, bank + queries)
    features = means[labels] + random.normal(0, 1.2, (bank + queries, dim))
    features *= random.uniform(0.1, 10, (bank + queries, 1))  # lengths are not to count
    return features[:bank], labels[:bank], features[bank:], labels[bank:]


@pytest.mark.parametrize(("neighbours", "temperature"), [(1, 0.07), (5, 0.07), (20, 0.5), (60, 0.07)])
def test_scores_and_accuracy_equal_the_loop(neighbours, temperature):
    bank, bank_labels, queries, labels = data()
    bank_labels[::7] = -1
    expected = loop_scores(bank, bank_labels, queries, neighbours, temperature)
    scores = WeightedKNN(bank, bank_labels, neighbours, temperature).scores(queries)
    np.testing.assert_allclose(scores, expected, atol=1e-9)
    accuracy = knn_accuracy(bank, bank_labels, queries, labels, neighbours, temperature)
    assert accuracy == pytest.approx((expected.argmax(1) == labels).mean())
    assert 0.3 < accuracy < 1


def test_one_near_neighbour_outvotes_two_far_ones_unless_the_temperature_is_high():
    def at(degrees):
        return [np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]

    bank, labels, query = np.array([at(5), at(40), at(-40)]), np.array([1, 0, 0]), np.array([at(0)])
    assert WeightedKNN(bank, labels, 3, 0.07).scores(query).argmax() == 1
    assert WeightedKNN(bank, labels, 3, 1.0).scores(query).argmax() == 0


def test_unlabelled_rows_are_neither_in_the_bank_nor_counted():
    bank, queries = np.eye(4), np.array([[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0.1]])
    # the nearest row of the first query is unlabelled, and the second query is
    assert knn_accuracy(bank, np.array([-1, 2, 1, 1]), queries, np.array([0, -1, 2]), neighbours=1) == 0.5


def test_classes_that_the_bank_lacks_are_never_right():
    scores = WeightedKNN(np.eye(3), np.array([1, 1, 4]), neighbours=3).scores(np.eye(3))
    assert scores.shape == (3, 5) and not scores[:, [0, 2, 3]].any()
    assert knn_accuracy(np.eye(3), np.array([1, 1, 4]), np.eye(3), np.array([1, 0, 7]), 1) == 1 / 3


def test_the_smallest_temperature_and_equal_rows_give_finite_scores():
    bank, queries = np.eye(3, dtype=np.float32), np.array([[0, 1, 1], [0, 0, 0]], np.float32)
    scores = WeightedKNN(bank, np.array([0, 1, 2]), 3, 1e-4).scores(queries)
    np.testing.assert_allclose(scores, [[0, 0.5, 0.5], [1 / 3] * 3], atol=1e-3)


def test_without_labels_there_is_nothing_to_measure():
    none, some = np.full(3, -1), np.arange(3)
    with pytest.raises(UserError, match="none of the images to look among has a class"):
        knn_accuracy(np.eye(3), none, np.eye(3), some)
    with pytest.raises(UserError, match="none of the images to classify has a class"):
        knn_accuracy(np.eye(3), some, np.eye(3), none)


def test_a_network_is_measured_on_two_loaders_and_left_as_it_was():
    pixels = paddle.nn.Sequential(paddle.nn.Flatten(), paddle.nn.BatchNorm1D(12))
    bank, bank_labels, queries, labels = data(dim=12)
    as_images = [
        [([paddle.to_tensor(rows.reshape(-1, 3, 2, 2).astype("float32"))], paddle.to_tensor(of_rows))]
        for rows, of_rows in ((bank, bank_labels), (queries, labels))
    ]
    checked = []
    features = [extract_features(pixels, batches, lambda: checked.append(1)) for batches in as_images]
    found = knn_accuracy(*features[0], *features[1])
    assert found == pytest.approx(knn_accuracy(bank, bank_labels, queries, labels))
    assert pixels.training and len(checked) == 2
