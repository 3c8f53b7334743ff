"""Features of a frozen network, extracted once and kept."""

import os
import pickle

import numpy as np
import paddle
import pytest

from ppcds.datasets.build import build_eval_split
from ppcds.engine.features import (
    cached_features,
    effective_rank,
    extract_features,
    features_of_split,
    fingerprint,
)
from ppcds.errors import UserError
from ppcds.models import build_backbone, build_encoder
from ppcds.weights import set_weights


def batches(count=2, size=3):
    images = paddle.rand([count * size, 3, 32, 32])
    return [([images[i : i + size]], paddle.arange(i, i + size)) for i in range(0, count * size, size)]


def network(num_classes=4):
    paddle.seed(0)
    return build_backbone("resnet18", num_classes, width=2)


def test_a_classifier_gives_the_vectors_below_its_last_layer():
    classifier, shown = network(), batches()
    features, labels = extract_features(classifier, shown)
    assert (features.shape, features.dtype, labels.tolist()) == ((6, 16), np.float32, [0, 1, 2, 3, 4, 5])
    classifier.eval()
    logits = classifier(paddle.concat([views[0] for views, _ in shown])).numpy()
    below = features @ classifier.fc.weight.numpy() + classifier.fc.bias.numpy()
    np.testing.assert_allclose(below, logits, rtol=1e-4, atol=1e-5)


def test_an_encoder_gives_what_its_classifier_would_stand_on(tiny_recipe):
    recipe = tiny_recipe("model.head={widths: [8, 4]}")
    encoder, shown = build_encoder(recipe.model, recipe.data.size), batches()
    features, _ = extract_features(encoder, shown)
    bare = network(num_classes=0)
    set_weights(bare, {k: v.numpy() for k, v in encoder.backbone.state_dict().items()}, "the encoder")
    np.testing.assert_allclose(features, extract_features(bare, shown)[0], rtol=1e-5, atol=1e-6)


def test_an_encoder_gives_what_layers_of_its_head_make_of_the_features(tiny_recipe):
    recipe = tiny_recipe("model.head={widths: [8, 4], batch_norm: hidden}")
    encoder, shown = build_encoder(recipe.model, recipe.data.size), batches()
    images = paddle.concat([views[0] for views, _ in shown])
    below, _ = extract_features(encoder, shown)
    first, _ = extract_features(encoder, shown, head_layer=1)
    last, labels = extract_features(encoder, shown, head_layer=2)
    encoder.eval()
    linear, norm, _ = encoder.projection.layers[0]
    by_hand = paddle.nn.functional.relu(norm(linear(paddle.to_tensor(below)))).numpy()
    np.testing.assert_allclose(first, by_hand, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(last, encoder.project(images)[1].numpy(), rtol=1e-4, atol=1e-6)
    assert (below.shape, first.shape, last.shape, len(labels)) == ((6, 16), (6, 8), (6, 4), 6)


@pytest.mark.parametrize(
    ("widths", "layer", "said"),
    [
        ([8, 4], 3, "head layer 3: the projection head has only 2"),
        ([], 1, "head layer 1: the projection head has only 0"),
        (None, 1, "head layer 1: only an encoder has one"),
    ],
)
def test_a_layer_that_the_head_does_not_have_is_refused(tiny_recipe, tmp_path, widths, layer, said):
    recipe, encoder = tiny_recipe(), network()
    if widths is not None:
        recipe = tiny_recipe(f"model.head={{widths: {widths}}}")
        encoder = build_encoder(recipe.model, recipe.data.size)
    with pytest.raises(UserError, match=said):
        features_of_split(encoder, build_eval_split(recipe), tmp_path / "f.safetensors", recipe, layer)
    assert not (tmp_path / "f.safetensors").exists()


def test_extracting_changes_neither_weights_nor_statistics_nor_the_mode():
    classifier = network()
    before = {name: tensor.numpy().copy() for name, tensor in classifier.state_dict().items()}
    extract_features(classifier, batches())
    assert classifier.training
    for name, tensor in classifier.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


def test_what_check_raises_ends_the_extraction_and_puts_the_mode_back():
    def stop():
        raise KeyboardInterrupt

    classifier = network()
    with pytest.raises(KeyboardInterrupt):
        extract_features(classifier, batches(), stop)
    assert classifier.training


def test_features_that_are_not_finite_are_refused():
    shown = batches()
    shown[1][0][0][2, 0, 5, 5] = float("inf")
    with pytest.raises(UserError, match="features are not finite"):
        extract_features(paddle.nn.Flatten(), shown)


def test_effective_rank_counts_directions():
    assert effective_rank(np.eye(7, dtype=np.float32)) == pytest.approx(7)
    assert effective_rank(np.repeat(np.eye(3), 5, axis=0) * 9) == pytest.approx(3)
    assert effective_rank(np.full((20, 8), 2.0)) == pytest.approx(1, abs=1e-5)
    noise = np.random.RandomState(0).normal(0, 1e-4, (500, 32))
    assert effective_rank(1 + noise) < 1.05  # collapsed but for noise


def make(value):
    def features():
        make.calls.append(value)
        return np.full((4, 2), value, np.float32), np.arange(4)

    return features


@pytest.fixture(autouse=True)
def no_calls():
    make.calls = []


def test_kept_features_are_read_instead_of_made(tmp_path):
    said = []
    for _ in range(2):
        features, labels = cached_features(tmp_path / "deep" / "f.safetensors", "key", make(3), said.append)
        assert features.dtype == np.float32 and features.tolist() == [[3, 3]] * 4
        assert labels.tolist() == [0, 1, 2, 3]
    assert make.calls == [3] and not said
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["f.safetensors"]


def test_features_of_another_key_are_made_anew_and_it_is_said(tmp_path):
    said = []
    cached_features(tmp_path / "f.safetensors", "old", make(1), said.append)
    features, _ = cached_features(tmp_path / "f.safetensors", "new", make(2), said.append)
    assert features[0, 0] == 2 and make.calls == [1, 2]
    assert len(said) == 1 and "f.safetensors is of other weights, images or views" in said[0]


def test_a_damaged_file_is_made_anew_whatever_the_damage(tmp_path):
    path, said = tmp_path / "f.safetensors", []
    cached_features(path, "key", make(1), said.append)
    whole = path.read_bytes()
    random = np.random.RandomState(0)
    damaged = [b"", b"no archive", whole[:100], whole[:-30]]
    for place in random.randint(0, len(whole), 150):
        damaged.append(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
    for content in damaged:
        path.write_bytes(content)
        features, labels = cached_features(path, "key", make(1), said.append)
        assert features.tolist() == [[1, 1]] * 4 and labels.tolist() == [0, 1, 2, 3]
    assert sum("is damaged" in line for line in said) > 100


def test_nothing_in_a_file_is_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    objects, said = np.array([Trap()], dtype=object), []
    np.savez(tmp_path / "zip.npz", key=np.array("key"), features=objects, labels=objects)
    for content in ((tmp_path / "zip.npz").read_bytes(), pickle.dumps(Trap())):
        (tmp_path / "f.safetensors").write_bytes(content)
        features, _ = cached_features(tmp_path / "f.safetensors", "key", make(1), said.append)
        assert features.shape == (4, 2)
    assert not (tmp_path / "executed").exists()
    assert len(said) == 2 and all("damaged" in line for line in said)


def test_a_place_that_cannot_be_written_costs_the_cache_alone(tmp_path):
    (tmp_path / "file").write_text("in the way")
    said = []
    features, _ = cached_features(tmp_path / "file" / "f.safetensors", "key", make(1), said.append)
    assert features.shape == (4, 2) and "cannot write" in said[0]


def test_the_fingerprint_sees_every_cause_of_other_features(tiny_recipe, tiny_sports10):
    recipe, first = tiny_recipe(), network()
    split = build_eval_split(recipe)
    key = fingerprint(first, split, recipe)
    assert key == fingerprint(network(), build_eval_split(tiny_recipe()), tiny_recipe())

    keys = [key, fingerprint(first, split, recipe, head_layer=1)]
    keys.append(fingerprint(network(num_classes=5), split, recipe))
    first.bn1._variance.set_value(first.bn1._variance + 1e-6)
    keys.append(fingerprint(first, split, recipe))
    same = network()
    for change in ("data.size=[32, 40]", "data.interpolation=bilinear", "views.eval=[ToArray]"):
        other = tiny_recipe(change)
        keys.append(fingerprint(same, build_eval_split(other), other))
    keys.append(fingerprint(same, build_eval_split(recipe, "train"), recipe))
    keys.append(fingerprint(same, split.take(np.arange(19)), recipe))
    relabelled = split.take(np.arange(20))
    relabelled.labels[0] = 9
    keys.append(fingerprint(same, relabelled, recipe))
    os.utime(tiny_sports10 / split.filenames[7], ns=(1, 1))
    keys.append(fingerprint(same, split, recipe))
    assert len(set(keys)) == len(keys)


def test_the_features_of_a_split_are_kept_until_the_weights_change(tiny_recipe, tmp_path, capsys):
    recipe, classifier = tiny_recipe(), network()
    split, path = build_eval_split(recipe), tmp_path / "f.safetensors"
    features, labels = features_of_split(classifier, split, path, recipe)
    assert features.shape == (20, 16) and labels.tolist() == split.labels.tolist()
    written = path.stat().st_mtime_ns
    np.testing.assert_array_equal(features_of_split(classifier, split, path, recipe)[0], features)
    assert path.stat().st_mtime_ns == written
    classifier.conv1.weight.set_value(classifier.conv1.weight * 2)
    assert np.abs(features_of_split(classifier, split, path, recipe)[0] - features).max() > 0
    assert "extracted anew" in capsys.readouterr().out


def test_an_empty_split_is_refused(tiny_recipe, tmp_path):
    recipe = tiny_recipe()
    split = build_eval_split(recipe).take(np.arange(0))
    with pytest.raises(UserError, match="there are no images to extract features of"):
        features_of_split(network(), split, tmp_path / "f.safetensors", recipe)
