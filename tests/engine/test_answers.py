"""What a network is asked, and what of it is kept."""

import cv2
import numpy as np
import pytest

from ppcds.datasets.build import build_eval_split, build_probe_splits
from ppcds.engine import answers as module
from ppcds.engine.answers import ask
from ppcds.engine.deployed import build_deployed
from ppcds.engine.evaluate import predict_logits
from ppcds.engine.features import extract_features
from ppcds.engine.knn import knn_accuracy
from ppcds.errors import UserError

ENCODER = ("method.name=simclr", "model.head={widths: [16, 8]}")


@pytest.fixture
def asked(tiny_recipe):
    """asked(*overrides, change): the answers of a network with new weights, its splits and the network."""

    def make(*overrides, change=lambda split, train: None):
        recipe = tiny_recipe(*overrides)
        split, (train, _) = build_eval_split(recipe), build_probe_splits(recipe)
        change(split, train)
        network = build_deployed(recipe, 10)
        return ask(network, split, train, recipe), module.shown, network, (split, train, recipe)

    return make


def test_a_classifier_is_asked_for_logits_and_the_features_below_them(asked):
    found, shown, network, (split, train, recipe) = asked()
    logits, labels = predict_logits(network, shown(split, recipe))
    features, _ = extract_features(network, shown(split, recipe))
    assert found.scores == pytest.approx(logits, abs=1e-5) and np.array_equal(found.labels, labels)
    assert found.features == pytest.approx(features, abs=1e-5)
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(20))
    assert found.probabilities[3] == pytest.approx(np.exp(logits[3]) / np.exp(logits[3]).sum(), rel=1e-4)
    assert found.right.tolist() == (logits.argmax(1) == labels).tolist() and not found.by_neighbours


def test_an_encoder_lets_the_nearest_training_images_vote(asked):
    found, shown, network, (split, train, recipe) = asked(*ENCODER)
    assert found.by_neighbours and found.scores.shape == (20, 10)
    bank, labels = extract_features(network, shown(train, recipe))
    queries, true = extract_features(network, shown(split, recipe))
    assert found.right.mean() == pytest.approx(knn_accuracy(bank, labels, queries, true))


def test_nearest_are_those_with_the_largest_cosine(asked):
    found, *_ = asked()
    rows, cosines = found.nearest(np.array([4, 7]), 3)
    features, bank = (
        array / np.linalg.norm(array, axis=1, keepdims=True)
        for array in (found.features, found.bank_features)
    )
    wanted = -np.sort(-(features[[4, 7]] @ bank.T), axis=1)[:, :3]
    assert cosines == pytest.approx(wanted, abs=1e-5) and rows.shape == (2, 3)
    assert (features[4] @ bank[rows[0, 0]]) == pytest.approx(wanted[0, 0], abs=1e-5)
    assert found.nearest(np.array([0]), 1000)[0].shape == (1, 40)


def test_only_images_with_a_class_are_reported_on(asked):
    def change(split, train):
        split.labels[[0, 5]] = -1

    found, *_ = asked(change=change)
    assert len(found.split) == 18 and (found.labels >= 0).all()

    def change_all(split, train):
        split.labels[:] = -1

    with pytest.raises(UserError, match="val has no images with a class"):
        asked(change=change_all)


def test_images_that_cannot_be_read_are_left_out_of_all(asked, tiny_sports10):
    for file in ("Tennis/val_1.jpg", "Soccer/train_0.jpg"):
        (tiny_sports10 / file).write_bytes(b"no image")
    found, *_ = asked("data.on_bad_image=skip")
    for array in (found.labels, found.scores, found.features, found.split.labels):
        assert len(array) == 19
    assert "Tennis/val_1.jpg" not in found.split.filenames
    assert (
        "Soccer/train_0.jpg" not in found.bank.filenames and len(found.bank_features) == len(found.bank) == 39
    )
    assert cv2.imread(str(tiny_sports10 / found.split.filenames[-1])) is not None
    with pytest.raises(UserError, match=r"train_0.jpg|val_1.jpg"):
        asked()


def test_of_very_many_training_images_a_stratified_part_is_looked_among(asked, monkeypatch):
    monkeypatch.setattr(module, "MOST_TRAINING_IMAGES", 20)
    found, *_ = asked()
    assert len(found.bank) == len(found.bank_features) == 20
    assert np.bincount(found.bank.labels).tolist() == [2] * 10
