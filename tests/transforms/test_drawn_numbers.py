"""Which of the drawn numbers each step of a view gets, and where the result is put."""

import numpy as np
import pytest

from ppcds.errors import UserError
from ppcds.transforms import (
    ColorJitter,
    Cutout,
    Normalize,
    RandomApply,
    RandomCrop,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomResizedCrop,
    ToArray,
    View,
    apply_to_batch,
    build_view,
)

IMAGES = 64
SIZES = np.arange(10, 10 + IMAGES), np.arange(20, 20 + IMAGES)  # heights, widths


def test_each_step_of_a_view_has_numbers_of_its_own():
    steps = [
        RandomHorizontalFlip(0.5),
        RandomCrop(padding=2),
        RandomGrayscale(0.5),
        RandomHorizontalFlip(0.5),
    ]
    view = View(steps)
    uniforms = np.random.default_rng(0).random((IMAGES, view.draws))
    starts = np.cumsum([0] + [step.draws for step in steps])
    for found, step, start in zip(view.parameters(uniforms, *SIZES), steps, starts):
        own = uniforms[:, start : start + step.draws]
        np.testing.assert_array_equal(found, step.parameters(own, *SIZES))
    assert view.draws == starts[-1]


def test_what_is_applied_sometimes_knows_the_images_sizes():
    cutout = Cutout(n_holes=2, length=4)
    sometimes = RandomApply(cutout, 0.5)
    uniforms = np.random.default_rng(1).random((IMAGES, sometimes.draws))
    found = sometimes.parameters(uniforms, *SIZES)
    np.testing.assert_array_equal(found[:, 0], uniforms[:, 0] < 0.5)
    np.testing.assert_array_equal(found[:, 1:], cutout.parameters(uniforms[:, 1:], *SIZES))


@pytest.mark.parametrize("axis", [0, 1])
def test_a_resized_crop_is_placed_by_the_last_two_numbers(axis):
    crop = RandomResizedCrop(8, scale=(0.2, 0.3), ratio=(1.0, 1.0))
    uniforms = np.full((5, crop.draws), 0.5)
    uniforms[:, -2 + axis] = [0, 0.3, 0.5, 0.8, 0.9999]
    found = crop.parameters(uniforms, 40, 40)
    side = found[0, 2]
    assert (found[:, 2:] == side).all() and 0 < side < 40
    expected = np.floor(np.array([0, 0.3, 0.5, 0.8, 0.9999]) * (40 - side + 1))
    np.testing.assert_array_equal(found[:, axis], expected)
    np.testing.assert_array_equal(found[:, 1 - axis], np.floor(0.5 * (40 - side + 1)))
    assert found[-1, axis] == 40 - side


def test_where_no_part_fits_the_middle_is_taken_at_whole_pixels():
    crop = RandomResizedCrop(8, scale=(1.0, 1.0), ratio=(0.5, 0.5))
    top, left, height, width = crop.parameters(np.full((1, crop.draws), 0.5), 10, 40)[0]
    assert (top, left, height, width) == (0, 17, 10, 5)  # 35 columns to spare


def test_parts_of_one_pixel_and_of_the_whole_width_are_parts():
    crop = RandomResizedCrop(4, scale=(1e-9, 1.0), ratio=(1.0, 1.0))
    uniforms = np.zeros((2, crop.draws))
    uniforms[0, :10], uniforms[1, :10] = 1 / 100, 1.0  # areas of 1 and of all 100 pixels
    uniforms[:, -2:] = 0.7
    found = crop.parameters(uniforms, 10, 10)
    np.testing.assert_array_equal(found, [[7, 7, 1, 1], [0, 0, 10, 10]])


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_a_jitter_draws_between_one_minus_and_one_plus_its_strength(name):
    image = np.random.default_rng(0).integers(60, 190, (6, 6, 3), dtype=np.uint8)
    jitter = ColorJitter(**{name: 0.5})
    weak, strong = (
        jitter.apply(image, jitter.parameters(np.full((1, jitter.draws), drawn), 6, 6)[0])
        for drawn in (0, 0.9999)
    )
    spread = {
        "brightness": lambda found: found.mean(),
        "contrast": lambda found: found.mean(axis=2).std(),
        "saturation": lambda found: np.ptp(found.astype(int), axis=2).mean(),
    }[name]
    assert spread(weak) == pytest.approx(0.5 * spread(image), rel=0.08)
    assert spread(strong) == pytest.approx(1.5 * spread(image), rel=0.12)
    with pytest.raises(ValueError, match="ColorJitter"):
        ColorJitter(**{name: -0.1})


def test_a_probability_above_one_is_refused():
    with pytest.raises(ValueError, match="RandomGrayscale needs p from 0 to 1, not 1.5"):
        RandomGrayscale(1.5)


def test_a_view_is_made_on_the_device_only_if_the_recipe_says_so():
    steps = ["RandomHorizontalFlip", "ToArray"]
    assert View([ToArray()]).on_device is False
    assert build_view(steps).on_device is False and build_view(steps, on_device=True).on_device is True
    with pytest.raises(UserError, match="only: take another transform, or views.on_device: false"):
        build_view(["PaddleColorJitter", "ToArray"], on_device=True)


HALF = Normalize([0.5] * 3, [0.25] * 3)


@pytest.mark.parametrize("last", [[], [HALF], [RandomApply(HALF, 0.5)]])
def test_a_batch_is_written_where_it_is_wanted_whatever_its_sizes_were(last):
    view = View([RandomCrop((6, 6)), ToArray(), *last])
    random = np.random.default_rng(0)
    sides = np.array([6, 9, 7])
    images = [random.integers(0, 256, (side, side + 2, 3), dtype=np.uint8) for side in sides]
    parameters = view.parameters(random.random((3, view.draws)), sides, sides + 2)
    fresh = apply_to_batch(view, images, parameters)
    alone = [view.apply(image, [rows[i] for rows in parameters]) for i, image in enumerate(images)]
    np.testing.assert_array_equal(fresh, np.stack(alone))
    out = np.full((3, 3, 6, 6), np.nan, np.float32)
    assert apply_to_batch(view, images, parameters, out=out) is out
    np.testing.assert_array_equal(out, fresh)
