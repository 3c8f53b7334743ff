import numpy as np
import pytest

from ppcds.config import load_recipe
from ppcds.errors import UserError
from ppcds.transforms import GaussianBlur, RandomCrop
from ppcds.transforms.build import build_view


def test_blur_keeps_the_mean_and_takes_detail_away(image):
    np.random.seed(0)
    blurred = GaussianBlur(9, sigma=(2.0, 2.0))(image)
    assert blurred.shape == image.shape and blurred.dtype == np.uint8
    assert abs(blurred.mean() - image.mean()) < 1
    assert np.diff(blurred.astype(int), axis=1).std() < 0.7 * np.diff(image.astype(int), axis=1).std()


def test_blur_of_a_point_is_the_gaussian():
    point = np.zeros((21, 21, 3), np.uint8)
    point[10, 10] = 255
    blurred = GaussianBlur(11, sigma=(1.5, 1.5))(point)[10, :, 0]
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    assert abs(blurred[5:16] - 255 * weights * weights[5]).max() <= 1


@pytest.mark.parametrize(
    ("kernel_size", "sigma"), [(4, (0.1, 2.0)), (0, (0.1, 2.0)), (3, (2.0, 1.0)), (3, (0, 1))]
)
def test_blur_refuses_even_kernels_and_falling_sigmas(kernel_size, sigma):
    with pytest.raises(ValueError, match="GaussianBlur needs"):
        GaussianBlur(kernel_size, sigma)


def test_crop_gives_every_place_in_the_padded_image_and_fills_all_channels():
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    padded = np.full((8, 10, 3), 128, np.uint8)
    padded[2:6, 2:8] = image
    places = {padded[t : t + 4, l : l + 6].tobytes(): (t, l) for t in range(5) for l in range(5)}  # noqa: E741
    np.random.seed(0)
    crops = [RandomCrop((4, 6), padding=2, fill=128)(image) for _ in range(500)]
    assert {crop.shape for crop in crops} == {(4, 6, 3)}
    assert {places[crop.tobytes()] for crop in crops} == set(places.values())


def test_crop_without_padding_of_the_images_own_size_is_the_image(image):
    np.testing.assert_array_equal(RandomCrop([72, 128])(image), image)


def test_crop_without_a_size_keeps_that_of_every_image():
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    for seed, shown in enumerate((image, image.transpose(1, 0, 2))):
        np.random.seed(seed)
        expected = RandomCrop(shown.shape[:2], padding=2, fill=7)(shown)
        np.random.seed(seed)
        np.testing.assert_array_equal(RandomCrop(padding=2, fill=7)(shown), expected)


def test_crop_that_would_do_nothing_is_refused():
    with pytest.raises(UserError, match=r"view\[0\].RandomCrop: without padding or size"):
        build_view(["RandomCrop", "ToArray"])


@pytest.mark.parametrize("name", ["sports10_cpu", "cifar10_cds"])
def test_another_image_size_is_one_key_of_a_recipe_with_crops(name):
    recipe = load_recipe(name, ["data.size=[50, 70]"])
    image = np.zeros((*recipe.data.size, 3), np.uint8)
    assert "RandomCrop" in str(recipe.views.train)
    for steps in recipe.views.train:
        assert build_view(steps)(image).shape == (3, 50, 70)


def test_crop_of_a_number_is_a_square_and_fill_may_be_a_colour(image):
    assert RandomCrop(32)(image).shape == (32, 32, 3)
    corner = RandomCrop((74, 130), padding=1, fill=[1, 2, 3])(image)[0, 0]
    assert corner.tolist() == [1, 2, 3]


def test_crop_larger_than_the_padded_image_is_refused(image):
    with pytest.raises(UserError, match="no room for 80x128 in an image of 76x132: lower its size"):
        RandomCrop((80, 128), padding=2)(image)
