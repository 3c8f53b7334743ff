"""The splits of a recipe: parts of the images, of the labels, and what is held back."""

import numpy as np
import pytest

from ppcds.config import load_recipe
from ppcds.datasets import STL10
from ppcds.datasets.build import (
    build_eval_split,
    build_held_back_split,
    build_probe_splits,
    build_train_split,
    recipe_classes,
)
from ppcds.errors import UserError


@pytest.fixture
def recipe(tiny_sports10):
    def make(*overrides):
        data = ["data.layout=sports10", f"data.root={tiny_sports10}", "data.size=[32, 32]"]
        return load_recipe("demo", [*data, *overrides])

    return make


def test_without_these_keys_training_sees_every_image_and_label(recipe):
    split = build_train_split(recipe(), 2)
    assert split.rows.tolist() == list(range(40))
    assert np.bincount(split.labels).tolist() == [4] * 10
    assert len(split[0][0]) == 2


def test_bad_images_are_replaced_in_training_and_left_out_where_something_is_measured(recipe):
    for policy, training, measuring in (("error", "error", "error"), ("skip", "replace", "leave out")):
        asked = recipe(f"data.on_bad_image={policy}", "data.hold_back=0.2")
        assert build_train_split(asked, 2).on_bad_image == training
        for split in (build_eval_split(asked), build_held_back_split(asked), *build_probe_splits(asked)):
            assert split.on_bad_image == measuring


def test_a_part_of_the_images_is_stratified_and_reads_its_own_files(recipe):
    split = build_train_split(recipe("data.train_images=20"), 2)
    assert np.bincount(split.labels).tolist() == [2] * 10
    whole = build_train_split(recipe(), 2)
    for i, row in enumerate(split.rows):
        assert split.filenames[i] == whole.filenames[row]
        np.testing.assert_array_equal(split.load_image(i), whole.load_image(row))


def test_held_back_images_are_evaluated_and_not_trained_on(recipe):
    asked = recipe("data.train_images=30", "data.hold_back=0.34")
    train, held = build_train_split(asked, 2), build_held_back_split(asked)
    assert (len(train), len(held)) == (20, 10)
    assert np.bincount(held.labels).tolist() == [1] * 10
    part = build_train_split(recipe("data.train_images=30"), 2)
    assert sorted([*train.filenames, *held.filenames]) == sorted(part.filenames)
    np.testing.assert_array_equal(held[3][0][0], held[3][0][0])  # the evaluation view draws nothing
    assert len(held[3][0]) == 1


def test_labels_are_taken_from_what_is_trained_on_alone(recipe):
    asked = recipe("data.hold_back=0.25", "data.label_fraction=0.34")
    train, held = build_train_split(asked, 2), build_held_back_split(asked)
    assert len(train) == 30 and (train.labels < 0).sum() == 20
    assert np.bincount(train.labels[train.labels >= 0]).tolist() == [1] * 10
    assert (held.labels >= 0).all()
    whole = build_train_split(recipe(), 2)
    kept = train.labels >= 0
    np.testing.assert_array_equal(train.labels[kept], whole.labels[train.rows[kept]])


def test_the_subsets_follow_from_their_own_seed_and_not_from_the_runs(recipe):
    def labelled(*overrides):
        split = build_train_split(recipe("data.hold_back=0.2", "data.label_fraction=0.5", *overrides), 2)
        return split.rows[split.labels >= 0].tolist()

    assert labelled() == labelled("run.seed=5") != labelled("data.subset_seed=1")


def test_what_cannot_be_taken_is_named_with_its_key(recipe):
    with pytest.raises(UserError, match="data.train_images 41 is larger than the 40 training images"):
        build_train_split(recipe("data.train_images=41"), 2)
    with pytest.raises(UserError, match="data.hold_back is 0"):
        build_held_back_split(recipe())
    with pytest.raises(UserError, match="data.hold_back 0.5: no class has a second labelled image"):
        build_held_back_split(recipe("data.train_images=10", "data.hold_back=0.5"))


@pytest.fixture
def stl10(tmp_path):
    """Two black images of each class for train and val, and five without label."""
    folder = tmp_path / "STL10"
    folder.mkdir()
    for part, count in (("train", 20), ("test", 20), ("unlabeled", 5)):
        (folder / f"{part}_X.bin").write_bytes(bytes(27648 * count))
    for part in ("train", "test"):
        (folder / f"{part}_y.bin").write_bytes(bytes(range(1, 11)) * 2)
    return folder


def test_stl10_needs_no_csv(stl10):
    data = ["data.layout=stl10", f"data.root={stl10}", "data.size=[24, 24]", "data.label_fraction=0.5"]
    recipe = load_recipe("demo", data)
    assert recipe_classes(recipe) == STL10.CLASSES
    split = build_train_split(recipe, 2)
    assert np.bincount(split.labels + 1).tolist() == [15] + [1] * 10
    assert split[24][0][0].shape == (3, 24, 24)
    recipe.data.classes = list(split.classes)  # as a run fills them in
    assert len(build_eval_split(recipe)) == 20
    recipe.data.classes = ["other"]
    with pytest.raises(UserError, match="layout stl10 has classes of its own"):
        build_eval_split(recipe)
    recipe = load_recipe("demo", ["data.layout=stl10", f"data.root={stl10.parent}"])
    with pytest.raises(UserError, match="there is no train_X.bin in"):
        build_train_split(recipe, 2)
