import numpy as np
import paddle
import pydantic
import pytest

from ppcds.runtime import seed_step
from ppcds.transforms.batched import BatchedAugmentation


def augment(images, **options):
    seed_step(0)
    settings = {"min_area": 1, "brightness": 0, "jitter": 0, **options}
    return BatchedAugmentation(**settings)(paddle.to_tensor(images)).numpy()


@pytest.fixture
def images():
    return np.random.RandomState(0).uniform(0.3, 0.6, (64, 3, 12, 20)).astype("float32")


def test_without_zoom_and_colours_an_image_is_flipped_or_left_as_it_is(images):
    found = augment(images)
    left = np.abs(found - images).max(axis=(1, 2, 3)) < 1e-5
    flipped = np.abs(found - images[..., ::-1]).max(axis=(1, 2, 3)) < 1e-5
    assert (left ^ flipped).all() and 16 < flipped.sum() < 48


def test_the_brightness_factor_is_shared_by_the_channels_and_stays_in_its_range(images):
    factors = augment(np.full_like(images, 0.5), brightness=0.4) / 0.5
    of_image = factors[:, 0, 0, 0]
    np.testing.assert_allclose(factors, np.broadcast_to(of_image[:, None, None, None], factors.shape), 1e-5)
    assert 0.6 <= of_image.min() < 0.75 and 1.25 < of_image.max() <= 1.4


def test_jitter_mixes_channels_and_the_result_is_clipped(images):
    only_red = np.zeros_like(images)
    only_red[:, 0] = 1
    found = augment(only_red, jitter=0.2)
    assert found.min() == 0 and found.max() == 1
    assert 0.15 < found[:, 1:].max() <= 0.2 and found[:, 0].min() >= 0.8


def test_a_zoom_shows_part_of_the_image_and_a_move_past_the_border_reflects_it(images):
    ramp = np.broadcast_to(np.linspace(0.2, 0.8, 20, dtype="float32"), images.shape).copy()
    found = augment(ramp, min_area=0.25)
    width = found.max(axis=(1, 2, 3)) - found.min(axis=(1, 2, 3))
    assert width.min() < 0.4 and width.max() <= 0.6 + 1e-5  # half of a side and more, up to all of it
    assert found.min() >= 0.2 - 1e-5  # reflected: no black comes in


def test_settings_out_of_range_or_unknown_are_refused():
    for options in ({"min_area": 0}, {"brightness": -1}, {"blur": 1}):
        with pytest.raises(pydantic.ValidationError):
            augment(np.zeros((1, 3, 4, 4), "float32"), **options)


@pytest.mark.parametrize("number", [0, 1])
def test_a_rank_draws_for_its_rows_what_one_process_would(images, monkeypatch, number):
    options = {"min_area": 0.5, "brightness": 0.3, "jitter": 0.1}
    whole = augment(images, **options)
    monkeypatch.setattr("ppcds.transforms.batched.num_ranks", lambda: 2)
    monkeypatch.setattr("ppcds.transforms.batched.rank", lambda: number)
    rows = slice(32 * number, 32 * number + 32)
    np.testing.assert_allclose(augment(images[rows], **options), whole[rows], atol=1e-6)


def given_numbers(monkeypatch, numbers):
    """Instead of what would be drawn: [N, 15] of flip, scales, shifts, brightness and the colour matrix."""
    numbers = np.asarray(numbers, dtype="float32")
    monkeypatch.setattr(paddle, "rand", lambda shape: paddle.to_tensor(numbers).reshape(shape))


def source_places(side, zoom, scale, shift, mirrored=False):
    """Where the pixels of a side come from, in pixels: moved and zoomed in, reflected at the border."""
    places = (np.arange(side) + 0.5) / side * 2 - 1  # -1 to 1 from border to border
    places = (1 - zoom * scale) * places + zoom * (2 * shift - 1)
    places = (-places if mirrored else places) * side / 2 + side / 2
    places = np.minimum(np.abs(places), 2 * side - np.abs(places))
    return np.clip(places - 0.5, 0, side - 1)


@pytest.mark.parametrize("min_area", [0.09, 0.64])
def test_pixels_come_from_where_flip_zoom_and_move_say(monkeypatch, min_area):
    height, width, zoom = 8, 12, 1 - min_area**0.5
    numbers = np.random.default_rng(0).uniform(0, 1, (16, 15))
    numbers[:8, :5] = np.round(numbers[:8, :5])  # the extremes too
    numbers[:, 0] = np.where(numbers[:, 0] == 1, 0.999, numbers[:, 0])
    given_numbers(monkeypatch, numbers)
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([columns / 20, rows / 20, np.zeros_like(rows)]).astype("float32")
    found = augment(np.stack([image] * 16), min_area=min_area)
    for number, shown in zip(numbers, found):
        flip, x_scale, y_scale, x_shift, y_shift = number[:5]
        expected_columns = source_places(width, zoom, x_scale, x_shift, mirrored=flip < 0.5)
        expected_rows = source_places(height, zoom, y_scale, y_shift)
        np.testing.assert_allclose(shown[0], np.tile(expected_columns / 20, (height, 1)), atol=1e-5)
        np.testing.assert_allclose(shown[1], np.tile(expected_rows[:, None] / 20, (1, width)), atol=1e-5)


def test_colours_are_multiplied_by_the_matrix_that_brightness_and_jitter_say(monkeypatch, images):
    numbers = np.random.default_rng(0).uniform(0, 1, (64, 15))
    numbers[:, 0] = 0.75  # not flipped
    given_numbers(monkeypatch, numbers)
    found = augment(images, brightness=0.5, jitter=0.2)
    for number, image, shown in zip(numbers, images, found):
        matrix = (1 + 0.5 * (2 * number[5] - 1)) * np.eye(3) + 0.2 * (2 * number[6:].reshape(3, 3) - 1)
        expected = [sum(image[c] * matrix[c, d] for c in range(3)) for d in range(3)]
        np.testing.assert_allclose(shown, np.clip(expected, 0, 1), atol=1e-5)
