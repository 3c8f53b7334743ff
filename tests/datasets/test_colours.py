"""The colours of the training images, and where they are put."""

import cv2
import numpy as np
import pytest

from ppcds.config import load_recipe
from ppcds.datasets import CSVSplit
from ppcds.datasets.build import build_eval_split, build_train_split, settle_colours
from ppcds.datasets.colours import measure_colours, with_colours
from ppcds.errors import UserError


def recipe_of(root, *keys):
    return load_recipe("demo", ["data.layout=csv", f"data.root={root}", "data.size=[24, 32]", *keys])


def normalizations(recipe):
    """mean and std of each Normalize, views in order."""
    found = []
    for steps in [*recipe.views.train, recipe.views.eval]:
        found += [step["Normalize"] for step in steps if isinstance(step, dict) and "Normalize" in step]
    return found


def test_colours_are_those_of_all_pixels_of_the_training_images(tiny_sports10):
    split = CSVSplit(tiny_sports10, size=(24, 32))
    pixels = np.stack([split.load_image(i) for i in range(len(split))]).reshape(-1, 3) / 255
    colours = measure_colours(split)
    assert colours["mean"] == pytest.approx(pixels.mean(axis=0), abs=6e-5)
    assert colours["std"] == pytest.approx(pixels.std(axis=0), abs=6e-5)
    few = measure_colours(split, most=20)
    assert few == measure_colours(split, most=20) and few != colours
    assert few["mean"] == pytest.approx(colours["mean"], abs=0.05)  # two images of each class


def test_a_layout_without_classes_of_its_own_is_normalised_by_its_own_colours(tiny_sports10):
    recipe = recipe_of(tiny_sports10)
    train = build_train_split(recipe, views_used=2)
    colours = measure_colours(CSVSplit(tiny_sports10, size=(24, 32), interpolation="area"))
    assert normalizations(recipe) == [colours] * 3 and recipe.data.colours == "given"
    images = np.stack(
        [view for row in range(len(train)) for view in build_eval_split(recipe, "train")[row][0]]
    )
    assert images.mean(axis=(0, 2, 3)) == pytest.approx(np.zeros(3), abs=2e-3)
    assert images.std(axis=(0, 2, 3)) == pytest.approx(np.ones(3), abs=2e-3)


@pytest.mark.parametrize("keys", [["data.layout=sports10"], ["data.colours=given"]])
def test_colours_that_are_given_stay(tiny_sports10, keys):
    recipe = recipe_of(tiny_sports10, *keys)
    before = normalizations(recipe)
    build_eval_split(recipe)
    assert normalizations(recipe) == before and before[0]["mean"] == [0.4914, 0.4822, 0.4465]


def test_what_was_measured_is_not_measured_again(tiny_sports10):
    recipe = recipe_of(tiny_sports10, "data.layout=sports10", "data.colours=measured")
    settle_colours(recipe)
    measured = normalizations(recipe)
    for picture in tiny_sports10.glob("*/train_*.jpg"):
        picture.unlink()
    settle_colours(recipe)
    assert normalizations(recipe) == measured


def test_an_unreadable_image_is_passed_over_where_it_is_skipped(tiny_sports10):
    (tiny_sports10 / "Tennis" / "train_0.jpg").write_bytes(b"no image")
    with pytest.raises(UserError, match="train_0.jpg"):
        settle_colours(recipe_of(tiny_sports10))
    recipe = recipe_of(tiny_sports10, "data.on_bad_image=skip")
    settle_colours(recipe)
    whole = CSVSplit(tiny_sports10, size=(24, 32), interpolation="area")
    good = whole.take([row for row, name in enumerate(whole.filenames) if name != "Tennis/train_0.jpg"])
    assert normalizations(recipe) == [measure_colours(good)] * 3


def test_images_of_one_colour_are_refused(tiny_sports10):
    for picture in tiny_sports10.glob("*/train_*.jpg"):
        cv2.imwrite(str(picture), np.full((60, 100, 3), 128, np.uint8))
    with pytest.raises(UserError, match="all pixels of a colour are the same"):
        settle_colours(recipe_of(tiny_sports10))


def test_only_normalize_is_changed_at_any_depth():
    colours = {"mean": [1, 2, 3], "std": [4, 5, 6]}
    steps = [
        "Flip",
        {"RandomApply": {"func": {"Normalize": {"mean": 0}}, "p": 0.5}},
        {"Cutout": {"length": 6}},
    ]
    assert with_colours(steps, colours) == [
        "Flip", {"RandomApply": {"func": {"Normalize": colours}, "p": 0.5}}, {"Cutout": {"length": 6}},
    ]  # fmt: skip
    assert steps[1]["RandomApply"]["func"]["Normalize"] == {"mean": 0}
