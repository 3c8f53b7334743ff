import random

import numpy as np
import paddle.vision.transforms as paddle_transforms
import pytest

from ppcds.errors import UserError
from ppcds.transforms import RandomHorizontalFlip, RandomResizedCrop, build_view


def test_a_flip_exchanges_left_and_right_as_often_as_it_says(image):
    np.testing.assert_array_equal(RandomHorizontalFlip(1)(image), image[:, ::-1])
    assert RandomHorizontalFlip(0)(image) is image
    np.random.seed(0)
    assert 440 < sum(RandomHorizontalFlip()(image) is not image for _ in range(1000)) < 560
    with pytest.raises(ValueError, match="prob from 0 to 1"):
        RandomHorizontalFlip(1.1)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((72, 128), {}),
        ((32, 32), {"scale": (0.2, 1.0)}),
        ((20, 40), {"scale": (0.5, 1.0)}),  # most attempts do not fit
    ],
)
def test_parts_are_distributed_as_paddles(size, options):
    """Means and spreads of top, left, height and width of 4,000 parts each."""
    height, width = size
    ours = RandomResizedCrop(16, **options)
    uniforms = np.random.RandomState(0).random_sample((4000, ours.draws))
    found = ours.parameters(uniforms, height, width)
    random.seed(1)
    np.random.seed(1)
    theirs = paddle_transforms.RandomResizedCrop(16, **options)
    image = np.zeros((height, width, 3), np.uint8)
    expected = np.array([theirs._dynamic_get_param(image) for _ in range(4000)])
    error = 5 * expected.std(0) / np.sqrt(2000) + 1e-9
    assert (np.abs(found.mean(0) - expected.mean(0)) < error).all()
    assert (np.abs(found.std(0) - expected.std(0)) < error).all()
    assert (np.abs(found.max(0) - expected.max(0)) <= 1).all()
    assert (np.abs(found.min(0) - expected.min(0)) <= 1).all()
    assert (found[:, 0] + found[:, 2]).max() <= height and (found[:, 1] + found[:, 3]).max() <= width


def test_the_largest_part_in_the_middle_is_taken_where_none_fits():
    crop = RandomResizedCrop(16, scale=(1.0, 1.0), ratio=(3 / 4, 4 / 3))
    uniforms = np.full((1, crop.draws), 0.5)
    wide, high = (crop.parameters(uniforms, *size)[0].tolist() for size in ((30, 90), (90, 30)))
    assert wide == [0, 25, 30, 40]
    assert high == [25, 0, 40, 30]


def test_the_whole_image_is_resized_as_paddle_does(image):
    crop = RandomResizedCrop([40, 50], scale=(1.0, 1.0), ratio=(128 / 72, 128 / 72))
    np.testing.assert_array_equal(crop(image), paddle_transforms.Resize((40, 50))(image))


@pytest.mark.parametrize("options", [{"scale": [1, 0.5]}, {"ratio": [2, 1]}, {"scale": [0, 1]}])
def test_falling_pairs_are_refused(options):
    with pytest.raises(ValueError, match="rising pairs"):
        RandomResizedCrop(8, **options)


def test_what_has_no_form_for_the_device_is_named_at_the_start():
    steps = [{"RandomApply": {"func": {"PaddleColorJitter": {"hue": 0.1}}, "p": 0.8}}, "ToArray"]
    build_view(steps)
    with pytest.raises(
        UserError, match=r"train\[1\]\[0\]: PaddleColorJitter works on the processor only.*on_device"
    ):
        build_view(steps, "views.train[1]", on_device=True)
