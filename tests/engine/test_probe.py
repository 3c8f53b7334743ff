"""The linear probe on features whose classes are known."""

import numpy as np
import paddle
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ppcds.engine.probe import _edge_warning, _train, linear_probe, measure_representation
from ppcds.errors import UserError


def data(count=600, classes=4, dim=12, noise=1.0, seed=0):
    """Gaussian classes on axes whose scale and offset differ by orders of magnitude."""
    means = np.random.RandomState(9).normal(size=(classes, dim))
    random = np.random.RandomState(seed)
    labels = random.randint(0, classes, count)
    features = (means[labels] + random.normal(0, noise, (count, dim))) * np.logspace(-2, 3, dim) + 50
    return features.astype(np.float32), labels


def test_the_accuracy_is_that_of_logistic_regression():
    train, test = data(), data(seed=1, count=2000)
    scaler = StandardScaler().fit(train[0])
    reference = LogisticRegression(max_iter=1000).fit(scaler.transform(train[0]), train[1])
    expected = reference.score(scaler.transform(test[0]), test[1])
    found = linear_probe(*train, *test)
    assert 0.7 < expected < 0.99
    assert found.accuracy == pytest.approx(expected, abs=0.015)


def test_trained_at_many_rates_at_once_each_is_as_if_trained_alone():
    (features, labels), (others, _) = data(300), data(50, seed=1)
    rates = [0.003, 0.1, 2.0]
    together = _train(features, labels, others, 4, rates, epochs=5, seed=3)
    for rate, logits in zip(rates, together):
        alone = _train(features, labels, others, 4, [rate], epochs=5, seed=3)[0]
        np.testing.assert_allclose(logits, alone, rtol=1e-4, atol=1e-4)
    assert np.abs(together[0] - together[1]).max() > 0.1


def test_training_equals_momentum_with_a_cosine_written_out():
    features, labels = data(40)
    rate, epochs = 0.05, 4
    rows = (features - features.mean(0, dtype=np.float64)) / features.std(0, dtype=np.float64)
    rows, weight, velocity = np.hstack([rows, np.ones((40, 1))]), np.zeros((13, 4)), 0
    for step in range(epochs):  # 40 rows are one batch
        scores = np.exp(rows @ weight)
        gradient = rows.T @ (scores / scores.sum(1, keepdims=True) - np.eye(4)[labels]) / 40
        velocity = 0.9 * velocity + gradient
        weight = weight - rate * 0.5 * (1 + np.cos(np.pi * step / epochs)) * velocity
    found = _train(features, labels, features, 4, [rate], epochs, seed=0)[0]
    np.testing.assert_allclose(found, rows @ weight, rtol=1e-3, atol=1e-4)


def test_the_result_follows_from_the_arguments_and_leaves_other_random_numbers_alone():
    train, test = data(noise=2.0), data(seed=1, noise=2.0)
    paddle.seed(5)
    np.random.seed(5)
    first = linear_probe(*train, *test, epochs=5, seed=1)
    drawn = paddle.rand([3]).numpy(), np.random.rand(3)
    paddle.seed(5)
    np.random.seed(5)
    np.testing.assert_array_equal(paddle.rand([3]).numpy(), drawn[0])
    np.testing.assert_array_equal(np.random.rand(3), drawn[1])
    assert linear_probe(*train, *test, epochs=5, seed=1) == first
    assert linear_probe(*train, *test, epochs=5, seed=2).sweep != first.sweep


def test_the_rate_is_chosen_without_the_test_rows():
    train, test = data(noise=2.0), data(seed=1, noise=2.0)
    wrong = (test[0], (test[1] + 1) % 4)
    first, second = linear_probe(*train, *test, epochs=5), linear_probe(*train, *wrong, epochs=5)
    assert first.sweep == second.sweep and first.learning_rate == second.learning_rate
    assert first.accuracy > 0.4 > second.accuracy
    assert first.held_back_accuracy == max(first.sweep.values()) == first.sweep[first.learning_rate]


def test_few_labels_are_held_back_several_times():
    test = data(50, seed=1)
    accuracies = {}
    for count, draws in ((40, 10), (1000, 5), (6000, 1)):
        result = linear_probe(*data(count, noise=2.0), *test, rates=(0.01,), epochs=1)
        rows = draws * count // 10  # held back in all draws together
        accuracies[count] = result.held_back_accuracy
        assert result.held_back_accuracy * rows == pytest.approx(round(result.held_back_accuracy * rows))
    assert accuracies[40] * 4 % 1  # no single draw of four rows can give this


def test_rows_without_a_label_do_not_count():
    train, test = data(200), data(100, seed=1)
    expected = linear_probe(*train, *test, epochs=3)
    noise = np.full((50, 12), 1e6, np.float32)
    padded = [(np.concatenate([f, noise]), np.concatenate([y, np.full(50, -1)])) for f, y in (train, test)]
    assert linear_probe(*padded[0], *padded[1], epochs=3) == expected
    assert expected.train_images == 200


def test_features_that_never_change_do_no_harm():
    (train, labels), (test, test_labels) = data(300), data(300, seed=1)
    expected = linear_probe(train, labels, test, test_labels, epochs=5)
    train, test = (np.hstack([rows, np.full((300, 3), 7.0, np.float32)]) for rows in (train, test))
    assert linear_probe(train, labels, test, test_labels, epochs=5) == expected


@pytest.mark.parametrize(
    ("accuracies", "best", "said"),
    [
        ((0.7, 0.8, 0.9), 2, "learning rate 1 is the largest that was tried, and the best: a larger one"),
        (
            (0.9, 0.8, 0.7),
            0,
            "learning rate 0.01 is the smallest that was tried, and the best: a smaller one",
        ),
        ((0.7, 0.9, 0.8), 1, ""),
        ((0.7, 0.9, 0.9), 2, ""),  # level: nothing is to be gained beyond
    ],
)
def test_a_best_rate_at_the_edge_of_the_sweep_is_warned_of(accuracies, best, said):
    warning = _edge_warning((0.01, 0.1, 1.0), accuracies, best)
    assert said in warning and bool(said) == bool(warning)


def test_a_sweep_that_only_has_tiny_rates_is_warned_of_and_a_single_rate_is_not():
    random = np.random.RandomState(0)  # the class is what two axes differ by, a fifth of their spread
    labels, common = random.randint(0, 2, 2000), random.normal(0, 5, 2000)
    features = np.stack([common + labels - 0.5 + random.normal(0, 0.5, 2000), common], axis=1)
    found = linear_probe(features, labels, features, labels, rates=(0.001, 0.1, 1.0), epochs=3)
    assert "largest" in found.warning and found.learning_rate == 1.0
    assert not linear_probe(features, labels, features, labels, rates=(1.0,), epochs=3).warning


def test_too_few_labels_are_told_in_words():
    features, labels = np.eye(4, dtype=np.float32), np.arange(4)
    with pytest.raises(UserError, match="of 4 labelled images none can be held back, as no class has two"):
        linear_probe(features, labels, features, labels)
    with pytest.raises(UserError, match="none of the train images has a class"):
        linear_probe(features, labels * 0 - 1, features, labels)
    with pytest.raises(UserError, match="none of the test images has a class"):
        linear_probe(features, labels, features, labels * 0 - 1)


def test_a_representation_is_measured_at_each_share_of_the_labels():
    train, test = data(1000, noise=1.5), data(500, seed=1, noise=1.5)
    found = measure_representation(train, test, [0.02, 1.0])
    few, all_of_them = found["linear_probe"]
    assert (few["train_images"], all_of_them["train_images"]) == (20, 1000)
    assert few["accuracy"] < all_of_them["accuracy"]
    assert all_of_them == {"label_fraction": 1.0, **vars(linear_probe(*train, *test))}
    assert (found["test_images"], found["knn_images"], found["feature_dim"]) == (500, 1000, 12)
    assert 1 < found["effective_rank"] < 12 and 0.25 < found["knn_accuracy"] < 1
