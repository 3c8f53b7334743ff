"""Accuracies of an epoch."""

import numpy as np
import paddle
import pytest

from ppcds.datasets.build import build_eval_split, build_train_split
from ppcds.engine.evaluate import Evaluation, accuracy, mean_cross_entropy, predict_logits
from ppcds.errors import UserError
from ppcds.losses import cross_entropy


def test_accuracy_counts_labelled_rows_alone():
    logits = np.array([[2, 1], [0, 1], [3, 1], [0, 9]])
    assert accuracy(logits, np.array([0, 0, -1, 1])) == pytest.approx(2 / 3)


def test_the_loss_is_the_mean_over_labelled_rows_alone():
    logits = np.array([[2, 1], [0, 1], [np.inf, 0], [-2000, 1000]], np.float32)
    labels = np.array([0, 0, -1, 0])
    expected = (np.log(1 + np.exp(-1)) + np.log(1 + np.exp(1)) + 3000) / 3
    assert mean_cross_entropy(logits, labels) == pytest.approx(expected, rel=1e-9)


def test_the_loss_is_that_of_training():
    random = np.random.RandomState(0)
    logits, labels = random.normal(0, 5, (50, 7)).astype("float32"), random.randint(-1, 7, 50)
    expected = float(cross_entropy(paddle.to_tensor(logits), paddle.to_tensor(labels)))
    assert mean_cross_entropy(logits, labels) == pytest.approx(expected, rel=1e-6)


def test_predicting_uses_running_statistics_and_puts_the_mode_back():
    network = paddle.nn.Sequential(paddle.nn.Flatten(), paddle.nn.Linear(4, 2), paddle.nn.BatchNorm1D(2))
    batch = ([paddle.rand([3, 1, 2, 2])], paddle.to_tensor([0, 1, 1]))
    before = network[2]._mean.numpy().copy()
    logits, labels = predict_logits(network, [batch, batch])
    assert (logits.shape, labels.tolist()) == ((6, 2), [0, 1, 1, 0, 1, 1])
    np.testing.assert_array_equal(network[2]._mean.numpy(), before)
    assert network.training


class Oracle(paddle.nn.Layer):
    """Says class 0 of any image, and counts the images it is shown."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def forward(self, images):
        self.shown.append(images.numpy())
        return paddle.nn.functional.one_hot(paddle.zeros([len(images)], "int64"), 10)


def measure(recipe, epoch=0):
    oracle = Oracle()
    evaluation = Evaluation(recipe, build_train_split(recipe, 1), build_eval_split(recipe))
    return oracle, evaluation.measure(oracle, epoch, check=lambda: None)


def test_the_whole_validation_split_counts_and_as_many_training_images(tiny_recipe):
    oracle, found = measure(tiny_recipe())
    assert set(found) == {"train_accuracy", "eval_accuracy", "eval_loss"}
    assert found["eval_accuracy"] == pytest.approx(2 / 20)
    assert found["eval_loss"] == pytest.approx(np.log(np.e + 9) - 2 / 20)  # a logit of 1 for class 0, else 0
    assert [len(images) for images in oracle.shown] == [8, 8, 4, 8, 8, 4]


def test_a_representation_has_no_loss(tiny_recipe):
    recipe = tiny_recipe()
    evaluation = Evaluation(recipe, build_train_split(recipe, 1), build_eval_split(recipe), True)
    assert set(evaluation.measure(paddle.nn.Flatten(), 0, lambda: None)) == {"eval_accuracy"}


def test_training_accuracy_is_of_clean_images_unless_the_recipe_asks_otherwise(tiny_recipe):
    (clean, _), (again, _) = measure(tiny_recipe(), epoch=0), measure(tiny_recipe(), epoch=1)
    np.testing.assert_array_equal(clean.shown[0], again.shown[0])
    asked = tiny_recipe("run.train_accuracy=augmented")
    (augmented, _), (other, _) = measure(asked, epoch=0), measure(asked, epoch=1)
    assert np.abs(augmented.shown[0] - other.shown[0]).max() > 0.1
    np.testing.assert_array_equal(augmented.shown[-1], clean.shown[-1])  # validation images never are


def test_the_notebooks_accuracy_is_of_full_shuffled_batches(tiny_recipe):
    oracle, found = measure(tiny_recipe("run.ten_batch_accuracy=true"))
    assert [len(images) for images in oracle.shown[6:]] == [8, 8]  # 20 images: the last 4 are dropped
    assert found["eval_accuracy_ten_batches"] in [i / 16 for i in range(3)]


def test_ten_batches_of_more_images_than_there_are_is_refused(tiny_recipe):
    with pytest.raises(UserError, match="data.batch_size 21 is larger than the 20 validation images"):
        measure(tiny_recipe("run.ten_batch_accuracy=true", "data.batch_size=21"))


def test_without_a_training_label_there_is_no_training_accuracy_and_are_no_neighbours(tiny_recipe):
    recipe = tiny_recipe()
    train = build_train_split(recipe, 1)
    train.labels = np.full_like(train.labels, -1)
    for representation, measured in ((False, {"eval_accuracy", "eval_loss"}), (True, set())):
        evaluation = Evaluation(recipe, train, build_eval_split(recipe), representation)
        network = paddle.nn.Sequential(paddle.nn.Flatten(), paddle.nn.Linear(3 * 32 * 32, 10))
        assert set(evaluation.measure(network, 0, lambda: None)) == measured


def test_ten_batches_of_a_representation_are_refused(tiny_recipe):
    recipe = tiny_recipe("run.ten_batch_accuracy=true")
    with pytest.raises(UserError, match="run.ten_batch_accuracy: method cds trains no classifier"):
        Evaluation(recipe, build_train_split(recipe, 1), build_eval_split(recipe), representation=True)
