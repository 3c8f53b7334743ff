import random

import numpy as np
import paddle
import pytest
from paddle.vision.transforms import ColorJitter as TheirJitter
from PIL import Image, ImageEnhance

from ppcds.transforms import ColorJitter, RandomGrayscale
from ppcds.transforms.color import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation
from ppcds.transforms.paddle_jitter import PaddleColorJitter


def test_grey_is_the_weighted_sum_of_rgb_in_three_equal_channels(image):
    grey = RandomGrayscale(p=1)(image)
    assert grey.shape == image.shape and grey.dtype == np.uint8
    assert (grey == grey[..., :1]).all()
    assert abs(grey[..., 0] - image @ np.array([0.299, 0.587, 0.114])).max() <= 0.51


def test_grey_of_pure_colours_takes_them_for_rgb():
    pure = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert RandomGrayscale(p=1)(pure)[0, :, 0].tolist() == [76, 150, 29]


def test_grey_with_p_0_never_and_p_02_one_time_in_five(image):
    assert all(RandomGrayscale(p=0)(image) is image for _ in range(50))
    np.random.seed(0)
    changed = sum(RandomGrayscale()(image) is not image for _ in range(2000))
    assert 340 < changed < 460


def test_grey_of_a_tensor_is_the_grey_of_its_image(image):
    tensor = paddle.to_tensor(image.transpose(2, 0, 1).astype(np.float32))
    grey = RandomGrayscale(p=1)(tensor)
    assert tuple(grey.shape) == (3, 72, 128)
    expected = RandomGrayscale(p=1)(image).transpose(2, 0, 1)
    assert abs(grey.numpy() - expected).max() <= 0.51


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.4])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (adjust_brightness, ImageEnhance.Brightness),
        (adjust_contrast, ImageEnhance.Contrast),
        (adjust_saturation, ImageEnhance.Color),
    ],
)
def test_adjustments_agree_with_pil(image, ours, theirs, factor):
    expected = np.asarray(theirs(Image.fromarray(image)).enhance(factor))
    got = ours(image, factor)
    assert got.dtype == np.uint8
    assert abs(got.astype(int) - expected).max() <= 1  # PIL cuts off where we round


def test_hue_turns_red_to_green_to_blue():
    red = np.array([[[255, 0, 0]]], np.uint8)
    assert abs(adjust_hue(red, 1 / 3).astype(int)[0, 0] - [0, 255, 0]).max() <= 6
    assert abs(adjust_hue(red, -1 / 3).astype(int)[0, 0] - [0, 0, 255]).max() <= 6


def test_hue_zero_keeps_the_image_nearly(image):
    change = abs(adjust_hue(image, 0.0).astype(int) - image)
    assert change.max() <= 8 and change.mean() < 1  # hue and saturation are rounded to 256 steps


def test_jitter_draws_saturation_within_its_range_only():
    """Paddle's jitter with saturation 0.4 reaches a factor of 2.4; this image would show it."""
    pixel = np.array([[[150, 100, 100]]], np.uint8)
    spread = [np.ptp(ColorJitter(saturation=0.4)(pixel)) for _ in range(300)]
    assert 0.6 * 50 - 1 <= min(spread) < 0.7 * 50
    assert 1.3 * 50 < max(spread) <= 1.4 * 50 + 1


def test_jitter_of_nothing_returns_the_image_and_of_all_keeps_its_kind(image):
    np.testing.assert_array_equal(ColorJitter()(image), image)
    before = image.copy()
    np.random.seed(0)
    changed = ColorJitter(0.4, 0.4, 0.4, 0.1)(image)
    assert changed.dtype == np.uint8 and changed.shape == image.shape
    assert (changed != image).any()
    np.testing.assert_array_equal(image, before)


def test_jitter_takes_its_parts_in_random_order(image):
    np.random.seed(0)
    taken = []
    jitter = ColorJitter(0.4, 0.4, 0.4, 0.1)
    jitter.ranges = [
        (lambda picture, _, name=adjust.__name__: taken.append(name) or picture, low, high)
        for adjust, low, high in jitter.ranges
    ]
    for _ in range(300):
        jitter(image)
    assert len({tuple(taken[i : i + 4]) for i in range(0, 1200, 4)}) == 24


@pytest.mark.parametrize("options", [{"brightness": -0.1}, {"hue": 0.6}, {"hue": -0.1}])
def test_jitter_refuses_impossible_ranges(options):
    with pytest.raises(ValueError, match="hue from 0 to 0.5"):
        ColorJitter(**options)


@pytest.mark.parametrize("part", ["brightness", "contrast", "saturation", "hue"])
def test_paddles_jitter_is_paddles_in_each_of_its_parts(image, part):
    results = []
    for jitter in (PaddleColorJitter(**{part: 0.4}), TheirJitter(**{part: 0.4})):
        random.seed(0)
        np.random.seed(0)
        results.append(np.asarray(jitter(image)))
    np.testing.assert_array_equal(*results)
    assert (results[0] != image).any()
    np.testing.assert_array_equal(PaddleColorJitter()(image), image)


def test_paddles_jitter_is_repeated_by_its_number_and_another_number_is_another_change(image):
    jitter = PaddleColorJitter(0.4, 0.4, 0.4, 0.1)
    rows = jitter.parameters(np.array([[0.25], [0.26], [0.25 + 1e-6]]), *image.shape[:2]).tolist()
    first, again, *others = (jitter.apply(image, row) for row in (rows[0], *rows))
    np.testing.assert_array_equal(first, again)
    assert all((first != other).any() for other in others)
