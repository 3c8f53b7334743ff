"""Averages of stages, and their places in a plane."""

import sys
from types import SimpleNamespace

import numpy as np
import paddle
import pytest

from ppcds.engine import stage_embeddings as module
from ppcds.engine.stage_embeddings import lay_out, layouts, stage_embeddings
from ppcds.models import BACKBONES, Encoder, resnet18
from ppcds.models.projection import ProjectionHead


def batches(images):
    for start in (0, 2):
        labels = paddle.zeros([2], "int64")
        yield [paddle.to_tensor(images[start : start + 2])], labels


def test_each_stage_is_averaged_over_height_and_width():
    network, images = resnet18(num_classes=3, width=2), np.random.rand(4, 3, 32, 40).astype("float32")
    network.train()
    found = stage_embeddings(network, batches(images))
    assert network.training
    network.eval()
    for ours, maps in zip(found, network.stage_features(paddle.to_tensor(images))):
        assert ours == pytest.approx(maps.numpy().mean(axis=(2, 3)), rel=1e-4, abs=1e-5)
    assert [stage.shape[1] for stage in found] == [2, 4, 8, 16]


def test_an_encoder_has_the_stages_of_its_backbone():
    backbone = BACKBONES["resnet18"](num_classes=0, width=2)
    encoder = Encoder(backbone, ProjectionHead(16, [4]))
    images = np.random.rand(4, 3, 32, 32).astype("float32")
    ours, its = (stage_embeddings(network, batches(images)) for network in (encoder, backbone))
    assert all(np.array_equal(*pair) for pair in zip(ours, its))


def test_what_is_near_by_cosine_is_near_in_the_plane():
    random = np.random.RandomState(0)
    centres = np.repeat([[1.0, 0, 0, 0], [0, 1, 0, 0]], 20, axis=0)
    lengths = random.uniform(1, 50, (40, 1))  # which cosine does not see
    embeddings = ((centres + random.normal(0, 0.02, (40, 4))) * lengths).astype("float32")
    places = lay_out(embeddings, "t-SNE", seed=3)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(40) * 1e9
    nearest = distances.argmin(axis=1)
    assert ((nearest < 20) == (np.arange(40) < 20)).all()
    assert np.array_equal(places, lay_out(embeddings, "t-SNE", seed=3))


def test_few_images_are_laid_out_and_too_few_are_refused():
    assert lay_out(np.random.rand(5, 3).astype("float32"), "t-SNE", 0).shape == (5, 2)
    with pytest.raises(ValueError, match="4 images"):
        lay_out(np.random.rand(4, 3), "t-SNE", 0)


def test_umap_is_used_where_it_is_installed(monkeypatch):
    asked = []

    class UMAP:
        def __init__(self, **options):
            asked.append(options)

        def fit_transform(self, embeddings):
            return embeddings[:, :2]

    installed = {"umap": True}
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: installed.get(name))
    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
    assert layouts() == ["t-SNE", "UMAP"]
    embeddings = np.random.rand(8, 3)
    assert np.array_equal(lay_out(embeddings, "UMAP", 4), embeddings[:, :2])
    assert asked == [{"n_neighbors": 7, "metric": "cosine", "random_state": 4}]
    installed.clear()
    assert layouts() == ["t-SNE"]
