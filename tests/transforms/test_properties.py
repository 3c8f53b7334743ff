"""What holds for transforms of images of any size and content, and for any numbers drawn."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ppcds.transforms import (
    ColorJitter,
    Cutout,
    GaussianBlur,
    Normalize,
    RandomApply,
    RandomCrop,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomResizedCrop,
    ToArray,
    View,
    apply_to_batch,
)
from ppcds.transforms.color import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation

drawn = settings(max_examples=20, deadline=None, derandomize=True, database=None)

SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.integers(5, 14)
IMAGES = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)))
UNIFORMS = st.floats(0, 1, exclude_max=True)
KEEP_SIZE = {
    "flip": RandomHorizontalFlip(),
    "crop": RandomCrop(padding=3, fill=(1, 2, 3)),
    "jitter": ColorJitter(0.8, 0.8, 0.8, 0.2),
    "brightness": ColorJitter(brightness=0.8),
    "contrast": ColorJitter(contrast=0.8),
    "saturation": ColorJitter(saturation=0.8),
    "hue": ColorJitter(hue=0.5),
    "grey": RandomGrayscale(0.5),
    "blur": GaussianBlur(5),
    "sometimes": RandomApply(GaussianBlur(3, (1.0, 2.0)), 0.5),
}
RESIZE = {"resized crop": RandomResizedCrop((7, 9), (0.2, 1.0)), "cut": RandomCrop((4, 5))}
ON_IMAGES = {**KEEP_SIZE, **RESIZE}
LEVELS = {"jitter": 4, "blur": 2}  # which round in several steps; all others differ by one level at most


def random_images(seed, height, width, count=4):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def uniforms_for(step, seed, count=4):
    return np.random.default_rng(seed).random((count, step.draws))


@pytest.mark.parametrize("name", KEEP_SIZE)
@drawn
@given(image=IMAGES, seed=SEEDS)
def test_an_image_keeps_its_size_and_kind_and_is_not_written(name, image, seed):
    before = image.copy()
    np.random.seed(seed)
    found = KEEP_SIZE[name](image)
    assert found.shape == image.shape and found.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


@drawn
@given(image=IMAGES)
def test_what_never_happens_or_changes_by_nothing_is_the_image(image):
    for step in (RandomHorizontalFlip(0), RandomGrayscale(0), RandomApply(GaussianBlur(5), 0), ColorJitter()):
        np.testing.assert_array_equal(step(image), image)
    for adjust in (adjust_brightness, adjust_contrast, adjust_saturation):
        np.testing.assert_array_equal(adjust(image, 1.0), image)
    array = ToArray()(image)
    np.testing.assert_array_equal(Normalize()(array), array)
    height, width = image.shape[:2]
    np.testing.assert_array_equal(RandomCrop((height, width))(image), image)


@drawn
@given(image=IMAGES)
def test_a_flip_exchanges_columns_and_two_are_none(image):
    flip = RandomHorizontalFlip(1)
    np.testing.assert_array_equal(flip(image), image[:, ::-1])
    np.testing.assert_array_equal(flip(flip(image)), image)


@drawn
@given(image=IMAGES)
def test_grey_has_equal_channels_between_the_colours_and_is_grey_already(image):
    grey = RandomGrayscale(1)(image)
    assert (grey == grey[..., :1]).all()
    assert (image.min(axis=2) <= grey[..., 0]).all() and (grey[..., 0] <= image.max(axis=2)).all()
    np.testing.assert_array_equal(RandomGrayscale(1)(grey), grey)
    np.testing.assert_array_equal(adjust_saturation(image, 0.0), grey)


@drawn
@given(image=IMAGES, shift=st.floats(-0.5, 0.5))
def test_a_turn_of_hue_and_a_whole_one_more_are_alike(image, shift):
    shift = round(shift * 256) / 256
    np.testing.assert_array_equal(adjust_hue(image, shift), adjust_hue(image, shift + 1))
    grey = RandomGrayscale(1)(image)
    np.testing.assert_array_equal(adjust_hue(grey, shift), grey)


@drawn
@given(image=IMAGES)
def test_arrays_are_the_levels_as_shares_of_255(image):
    array = ToArray()(image)
    assert array.dtype == np.float32 and array.shape == (3, *image.shape[:2])
    assert array.min() >= 0 and array.max() <= 1
    np.testing.assert_array_equal((array * 255).round().transpose(1, 2, 0), image)


@drawn
@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    length=st.integers(1, 15),
    places=st.lists(st.tuples(UNIFORMS, UNIFORMS), min_size=1, max_size=3),
)
def test_cutout_empties_squares_about_its_centres_and_nothing_else(size, length, places):
    cutout = Cutout(len(places), length)
    expected = np.ones((3, *size), np.float32)
    for down, right in places:
        row, column = int(down * size[0]), int(right * size[1])
        for i in range(size[0]):
            for j in range(size[1]):
                if all(-(length // 2) <= d < length - length // 2 for d in (i - row, j - column)):
                    expected[:, i, j] = 0
        assert (expected[:, row, column] == 0).all()
    parameters = cutout.parameters(np.array(places).reshape(1, -1), *size)
    image = np.ones((3, *size), np.float32)
    np.testing.assert_array_equal(cutout.apply(image, parameters[0].tolist()), expected)
    found = cutout.apply_on_device(paddle.to_tensor(image[None]), parameters)
    np.testing.assert_array_equal(found[0].numpy(), expected)
    assert (image == 1).all()


@drawn
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    uniforms=arrays(np.float64, (5, RandomResizedCrop.draws), elements=UNIFORMS),
    scale=st.sampled_from([(0.08, 1.0), (1.0, 1.0), (0.01, 0.02)]),
    ratio=st.sampled_from([(3 / 4, 4 / 3), (1.0, 1.0), (0.1, 10.0)]),
)
def test_a_random_part_lies_in_the_image_and_is_not_empty(size, uniforms, scale, ratio):
    rows = RandomResizedCrop(8, scale, ratio).parameters(uniforms, *size)
    assert (rows == rows.round()).all() and rows[:, :2].min() >= 0 and rows[:, 2:].min() >= 1
    assert (rows[:, 0] + rows[:, 2] <= size[0]).all() and (rows[:, 1] + rows[:, 3] <= size[1]).all()


@drawn
@given(sizes=st.lists(st.tuples(st.integers(4, 40), st.integers(5, 40)), min_size=1, max_size=4), seed=SEEDS)
def test_numbers_for_images_of_several_sizes_are_those_for_each_alone(sizes, seed):
    heights, widths = map(np.array, zip(*sizes))
    for step in (*ON_IMAGES.values(), Cutout(2, 3)):
        uniforms = uniforms_for(step, seed, len(sizes))
        together = step.parameters(uniforms, heights, widths)
        for i, size in enumerate(sizes):
            np.testing.assert_array_equal(together[i : i + 1], step.parameters(uniforms[i : i + 1], *size))


@pytest.mark.parametrize("name", ON_IMAGES)
@drawn
@given(height=SIDES, width=SIDES, seed=SEEDS)
def test_a_batch_and_a_device_make_of_equal_numbers_what_one_image_becomes(name, height, width, seed):
    view = View([ON_IMAGES[name], ToArray(), Cutout(1, 3), Normalize((0.5,) * 3, (0.5,) * 3)])
    images = random_images(seed, height, width)
    before = images.copy()
    parameters = view.parameters(uniforms_for(view, seed), height, width)
    rows = [[numbers[i].tolist() for numbers in parameters] for i in range(len(images))]
    alone = np.stack([view.apply(image, row) for image, row in zip(images, rows)])
    np.testing.assert_array_equal(apply_to_batch(view, images, parameters), alone)
    found = view.apply_on_device(paddle.to_tensor(images), parameters).numpy()
    assert found.shape == alone.shape and found.dtype == alone.dtype == np.float32
    assert np.abs(found - alone).max() * 255 / 2 <= LEVELS.get(name, 1) + 0.01
    np.testing.assert_array_equal(images, before)
