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
