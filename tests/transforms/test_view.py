import numpy as np
import paddle.vision.transforms as paddle_transforms
import pytest

from ppcds.runtime import seed_example
from ppcds.transforms import MEAN, STD, RandomApply, ToArray, evaluation_view, notebook_views


def test_to_array_has_the_values_of_paddles_to_tensor(image):
    array = ToArray()(image)
    assert isinstance(array, np.ndarray) and array.dtype == np.float32 and array.flags.c_contiguous
    # Paddle 2.6 rounds the last bit of the division differently
    np.testing.assert_allclose(array, paddle_transforms.ToTensor()(image).numpy(), rtol=1e-6)


def test_to_array_refuses_what_would_not_end_between_0_and_1(image):
    with pytest.raises(TypeError, match="uint8 image, not float32"):
        ToArray()(image.astype(np.float32))


def test_random_apply_always_never_and_sometimes():
    assert all(RandomApply(lambda x: x + 1, p=1)(0) == 1 for _ in range(50))
    assert all(RandomApply(lambda x: x + 1, p=0)(0) == 0 for _ in range(50))
    np.random.seed(0)
    assert 1520 < sum(RandomApply(lambda x: x + 1, p=0.8)(0) for _ in range(2000)) < 1680
    with pytest.raises(ValueError, match="from 0 to 1"):
        RandomApply(lambda x: x, p=1.5)


def test_notebook_views_are_float32_chw_in_the_range_of_normalised_colours(image):
    low, high = -np.array(MEAN) / STD, (1 - np.array(MEAN)) / STD
    for seed in range(30):
        seed_example(seed)
        for view in notebook_views():
            array = view(image)
            assert array.shape == (3, 72, 128) and array.dtype == np.float32
            assert (array.min((1, 2)) >= low - 1e-5).all() and (array.max((1, 2)) <= high + 1e-5).all()


def test_the_first_notebook_view_is_the_image_flipped_or_not_with_holes(image):
    with_holes, _ = notebook_views()
    mean, std = np.float32(MEAN).reshape(3, 1, 1), np.float32(STD).reshape(3, 1, 1)
    flips = 0
    for seed in range(40):
        seed_example(seed)
        colours = with_holes(image) * std + mean
        hole = abs(colours).max(0) < 1e-6
        assert 0 < hole.sum() <= 300
        straight, flipped = (ToArray()(np.ascontiguousarray(x)) for x in (image, image[:, ::-1]))
        is_flipped = abs(colours - flipped)[:, ~hole].max() < 1e-5
        assert is_flipped or abs(colours - straight)[:, ~hole].max() < 1e-5
        flips += is_flipped
    assert 8 <= flips <= 32


def test_the_second_notebook_view_changes_colours_four_times_in_five(image):
    _, recoloured = notebook_views()
    plain = [evaluation_view()(np.ascontiguousarray(x)) for x in (image, image[:, ::-1])]
    kept = 0
    for seed in range(300):
        seed_example(seed)
        array = recoloured(image)
        kept += any(np.array_equal(array, p) for p in plain)
    assert 25 <= kept <= 75  # neither jitter nor grey: 0.2 x 0.8 = 16 %


def test_the_same_seed_gives_the_same_views_and_another_seed_others(image):
    def views(seed):
        seed_example(seed)
        return [view(image) for view in notebook_views()]

    for first, again, other in zip(views(1), views(1), views(2)):
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()


def test_evaluation_is_to_tensor_and_normalise_and_leaves_the_image_alone(image):
    before = image.copy()
    expected = (image.transpose(2, 0, 1) / 255 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    np.testing.assert_allclose(evaluation_view()(image), expected, atol=1e-5)
    for view in notebook_views():
        view(image)
    np.testing.assert_array_equal(image, before)
