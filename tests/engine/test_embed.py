"""Embeddings are those of the layer that was asked for, row by row, also where images are left out."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from ppcds.config import load_recipe
from ppcds.datasets.build import build_eval_split
from ppcds.engine import embed
from ppcds.engine.embed import Shown, embedding_function, shown_split, write_embeddings
from ppcds.errors import UserError
from ppcds.models import build_backbone, build_encoder
from ppcds.runtime import seed_step

IMAGES = np.random.RandomState(0).randn(5, 3, 32, 32).astype("float32")


def batches(rows=5, size=2):
    for start in range(0, rows, size):
        chosen = range(start, min(start + size, rows))
        yield Shown([f"{i}.png" for i in chosen], ["a"] * len(chosen), IMAGES[list(chosen)])


@pytest.fixture(scope="module")
def backbone():
    seed_step(0)
    network = build_backbone("resnet18", width=4)
    network.eval()
    return network


def test_without_a_stage_the_features_below_the_classifier_are_taken(backbone, tmp_path):
    names, classes = write_embeddings(tmp_path / "x.npy", embedding_function(backbone), batches(), 5)
    found = np.load(tmp_path / "x.npy")
    assert (found.dtype, found.shape, names, classes) == (
        np.float32, (5, 32), [f"{i}.png" for i in range(5)], ["a"] * 5,
    )  # fmt: skip
    logits = F.linear(paddle.to_tensor(found), backbone.fc.weight, backbone.fc.bias)
    np.testing.assert_allclose(logits.numpy(), backbone(paddle.to_tensor(IMAGES)).numpy(), atol=1e-4)


def test_a_stages_map_is_averaged_over_the_image(backbone):
    images = paddle.to_tensor(IMAGES)
    for stage, maps in enumerate(backbone.stage_features(images), 1):
        found = embedding_function(backbone, stage)(images).numpy()
        np.testing.assert_allclose(found, maps.numpy().mean(axis=(2, 3)), atol=1e-5)


def test_an_encoder_gives_its_stages_and_the_layers_of_its_projection_head():
    recipe = load_recipe("demo", ["method.name=simclr", "model.head={widths: [16, 8]}", "model.width=4"])
    encoder = build_encoder(recipe.model, recipe.data.size)
    encoder.eval()
    images = paddle.to_tensor(IMAGES)
    features, projections = encoder.project(images)
    np.testing.assert_allclose(embedding_function(encoder)(images), features, atol=1e-5)
    np.testing.assert_allclose(embedding_function(encoder, head_layer=2)(images), projections, atol=1e-5)
    assert embedding_function(encoder, stage=1)(images).shape == [5, 4]
    with pytest.raises(UserError, match="the projection head has only 2"):
        embedding_function(encoder, head_layer=3)


def test_fewer_images_than_were_expected_leave_no_empty_rows(backbone, tmp_path, monkeypatch):
    monkeypatch.setattr(embed, "ROWS_AT_ONCE", 2)
    function = embedding_function(backbone)
    write_embeddings(tmp_path / "all.npy", function, batches(), 5)
    write_embeddings(tmp_path / "more.npy", function, batches(), 9)
    np.testing.assert_array_equal(np.load(tmp_path / "all.npy"), np.load(tmp_path / "more.npy"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.npy", "more.npy"]


def test_rows_are_in_the_file_before_the_next_batch_comes(backbone, tmp_path):
    def watched():
        yield from batches(4)
        in_file.append(np.load(tmp_path / "x.npy"))
        yield Shown(["4.png"], [""], IMAGES[4:])

    in_file = []
    write_embeddings(tmp_path / "x.npy", embedding_function(backbone), watched(), 5)
    found = np.load(tmp_path / "x.npy")
    np.testing.assert_array_equal(in_file[0][:4], found[:4])
    assert (in_file[0][4] == 0).all() and (found[4] != 0).any()


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    with pytest.raises(UserError, match="the network's features are not finite"):
        write_embeddings(
            tmp_path / "x.npy", lambda images: images.mean([1, 2, 3]).unsqueeze(1) / 0, batches(), 5
        )


def test_none_at_all_is_told(tmp_path, backbone):
    with pytest.raises(UserError, match="none of the 3 images can be read"):
        write_embeddings(tmp_path / "x.npy", embedding_function(backbone), iter([]), 3)


def test_a_broken_image_of_a_split_is_named_and_the_others_keep_their_names(tiny_sports10):
    changes = ["data.layout=csv", f"data.root={tiny_sports10}", "data.size=[32, 32]", "data.batch_size=3"]
    recipe = load_recipe("demo", changes)
    whole = build_eval_split(recipe, "val")
    expected = {name: whole[i][0][0] for i, name in enumerate(whole.filenames)}
    broken = whole.filenames[4]
    (tiny_sports10 / broken).write_bytes(b"no image")
    skipped = []
    found = list(shown_split(build_eval_split(recipe, "val"), recipe, skipped.append))
    assert [error.args[0].split(" is not")[0] for error in skipped] == [str(tiny_sports10 / broken)]
    names = [name for shown in found for name in shown.names]
    assert names == [name for name in whole.filenames if name != broken]
    for shown in found:
        assert shown.classes == [name.split("/")[0] for name in shown.names]
        for name, image in zip(shown.names, shown.images):
            np.testing.assert_array_equal(image, expected[name])
