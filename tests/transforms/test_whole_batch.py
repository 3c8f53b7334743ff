import cv2
import numpy as np
import paddle
import pytest

from ppcds.config import load_recipe
from ppcds.transforms import Cutout, Normalize, View, apply_to_batch, build_view
from ppcds.transforms.arrays import ToArray

RECIPES = ["sports10", "sports10_cpu", "sports10_notebook", "cifar10_cds", "supcon", "byol_paper", "simclr"]
JITTER = {"ColorJitter": {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2}}
HARDEST = [
    {"RandomResizedCrop": {"size": [40, 56], "scale": [0.1, 1.0]}},
    "RandomHorizontalFlip",
    {"RandomCrop": {"padding": 4, "fill": [1, 2, 3]}},
    {"RandomApply": {"func": JITTER, "p": 0.8}},
    {"RandomGrayscale": {"p": 0.3}},
    {"RandomApply": {"func": {"GaussianBlur": {"kernel_size": 7}}, "p": 0.5}},
    "ToArray",
    {"Cutout": {"n_holes": 2, "length": 7}},
    {"Normalize": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}},
    {"Cutout": {"n_holes": 1, "length": 4}},
    {"Normalize": {"mean": [0.3, 0.2, 0.1], "std": [0.9, 0.8, 0.7]}},
]


@pytest.fixture
def images():
    """Smooth coloured RGB images [16, 48, 64, 3], uint8."""
    coarse = np.random.RandomState(0).randint(0, 256, (16, 12, 16, 3), dtype=np.uint8)
    return np.stack([cv2.resize(image, (64, 48)) for image in coarse])


def drawn(view, images, seed=1):
    uniforms = np.random.RandomState(seed).random_sample((len(images), view.draws))
    return view.parameters(uniforms, *images.shape[1:3])


def one_by_one(view, images, parameters):
    rows = [[numbers[i].tolist() for numbers in parameters] for i in range(len(images))]
    return np.stack([view.apply(image, row) for image, row in zip(images, rows)])


def views_of(name):
    steps = [HARDEST] if name == "all transforms" else load_recipe(name).views.train
    return [build_view(view) for view in steps]


@pytest.mark.parametrize("name", [*RECIPES, "all transforms"])
def test_a_batch_equals_its_images_one_by_one_to_the_last_bit(name, images):
    before = images.copy()
    for view in views_of(name):
        parameters = drawn(view, images)
        np.testing.assert_array_equal(
            apply_to_batch(view, images, parameters), one_by_one(view, images, parameters)
        )
    np.testing.assert_array_equal(images, before)


def test_a_batch_is_written_where_one_asks_for_it(images):
    view, *_ = views_of("sports10")
    out = np.full((2, 16, 3, 48, 64), np.nan, np.float32)
    apply_to_batch(view, images, drawn(view, images), out[1])
    np.testing.assert_array_equal(out[1], apply_to_batch(view, images, drawn(view, images)))
    assert np.isnan(out[0]).all()
    with pytest.raises(ValueError, match="does not fit"):
        apply_to_batch(view, images[:, :20], drawn(view, images), out[1])


def test_views_that_end_in_other_steps_are_made_too(images):
    view = View([ToArray(), lambda array: array[:, ::2] + 1, Normalize(), Cutout(1, 2)])
    parameters = drawn(view, images)
    found = apply_to_batch(view, images, parameters, np.empty((16, 3, 24, 64), np.float32))
    np.testing.assert_array_equal(found, one_by_one(view, images, parameters))


def test_images_of_several_sizes_are_cropped_to_one():
    images = [np.full((height, 30, 3), height, np.uint8) for height in (20, 40, 60)]
    view = build_view([{"RandomResizedCrop": {"size": 16}}, "ToArray"])
    uniforms = np.random.RandomState(0).random_sample((3, view.draws))
    parameters = view.parameters(uniforms, np.array([20, 40, 60]), np.array([30, 30, 30]))
    found = apply_to_batch(view, images, parameters)
    assert (found * 255).round()[:, 0, 3, 3].tolist() == [20, 40, 60]
    alone = view.parameters(uniforms[1:2], 40, 30)
    np.testing.assert_array_equal(alone[0][0], parameters[0][1])


# Levels of 255, (mean, share of values that differ by more than 1) at most: a resize is rounded otherwise by
# OpenCV, and a level more or less before a turn of hue can be several behind it.
TOLERANCES = {
    "sports10": (0.01, 0.001),
    "sports10_cpu": (0.01, 0.001),
    "cifar10_cds": (0.01, 0.001),
    "supcon": (0.3, 0.05),
    "byol_paper": (0.3, 0.06),
    "simclr": (0.3, 0.06),
    "all transforms": (0.3, 0.05),
}


@pytest.mark.parametrize("name", TOLERANCES)
def test_the_device_makes_the_same_views_but_for_rounding(name, images):
    for view in views_of(name):
        parameters = drawn(view, images)
        expected = apply_to_batch(view, images, parameters)
        found = view.apply_on_device(paddle.to_tensor(images), parameters)
        assert found.stop_gradient and found.dtype == paddle.float32
        scale = np.prod([step.std for step in view.steps if isinstance(step, Normalize)] or [[1] * 3], axis=0)
        levels = np.abs(found.numpy() - expected) * 255 * scale.reshape(3, 1, 1)
        mean, share = TOLERANCES[name]
        assert levels.mean() <= mean
        assert (levels > 1.1).mean() <= share
        assert levels.max() <= 24


@pytest.mark.parametrize(
    "step",
    [
        "RandomHorizontalFlip",
        {"RandomCrop": {"padding": 4, "fill": 128}},
        {"RandomCrop": {"size": [20, 30]}},
        {"RandomResizedCrop": {"size": [30, 20]}},
        {"ColorJitter": {"brightness": 0.4}},
        {"ColorJitter": {"contrast": 0.4}},
        {"ColorJitter": {"saturation": 0.4}},
        {"ColorJitter": {"hue": 0.5}},
        {"RandomGrayscale": {"p": 0.5}},
        {"GaussianBlur": {"kernel_size": 9}},
        {"RandomApply": {"func": {"RandomGrayscale": {"p": 1}}, "p": 0.5}},
    ],
)
def test_each_transform_alone_differs_by_a_level_at_most_on_the_device(step, images):
    view = build_view([step, "ToArray"])
    parameters = drawn(view, images)
    expected = apply_to_batch(view, images, parameters) * 255
    found, others = (
        view.apply_on_device(paddle.to_tensor(images), numbers).numpy() * 255
        for numbers in (parameters, drawn(view, images, seed=2))
    )
    assert np.abs(found - expected).max() <= 1.01
    assert np.abs(others - expected).max() > 2
