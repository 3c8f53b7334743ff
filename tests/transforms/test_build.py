import numpy as np
import pytest

from ppcds.errors import UserError
from ppcds.runtime import seed_example
from ppcds.transforms import MEAN, STD, TRANSFORMS, Cutout, RandomApply, build_view, notebook_views
from ppcds.transforms.option_values import OPTIONS

NORMALIZE = {"Normalize": {"mean": list(MEAN), "std": list(STD)}}
JITTER = {"ColorJitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}}
NOTEBOOK = [
    ["RandomHorizontalFlip", "ToArray", {"Cutout": {"n_holes": 3, "length": 10}}, NORMALIZE],
    [
        "RandomHorizontalFlip",
        {"RandomApply": {"func": JITTER, "p": 0.8}},
        {"RandomGrayscale": {"p": 0.2}},
        "ToArray",
        NORMALIZE,
    ],
]


def test_the_notebooks_recipe_builds_the_notebooks_views(image):
    for steps, preset in zip(NOTEBOOK, notebook_views()):
        for seed in range(5):
            seed_example(seed)
            expected = preset(image)
            seed_example(seed)
            np.testing.assert_array_equal(build_view(steps)(image), expected)


@pytest.mark.parametrize(
    "entry",
    [
        {"RandomCrop": {"size": [72, 128], "padding": 4, "fill": 128}},
        {"RandomResizedCrop": {"size": [72, 128], "scale": [0.2, 1.0], "ratio": [0.75, 1.33]}},
        {"PaddleColorJitter": JITTER["ColorJitter"]},
        {"RandomApply": {"func": {"GaussianBlur": {"kernel_size": 7, "sigma": [0.1, 2.0]}}, "p": 1}},
        {"RandomApply": {"func": {"RandomApply": {"func": "RandomGrayscale", "p": 0.5}}, "p": 0.5}},
        {"RandomHorizontalFlip": {"prob": 1}},
        {"RandomGrayscale": None},
    ],
)
def test_every_image_transform_builds_and_runs(image, entry):
    array = build_view([entry, "ToArray", NORMALIZE])(image)
    assert array.shape == (3, 72, 128) and array.dtype == np.float32


def test_a_nested_array_transform_may_follow_to_array(image):
    nested = {"RandomApply": {"func": {"Cutout": {"n_holes": 1, "length": 4}}, "p": 0.5}}
    step = build_view(["ToArray", nested]).steps[1]
    assert isinstance(step, RandomApply) and isinstance(step.func, Cutout)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (["RandomHorizontalFlop", "ToArray"], "v[0]: unknown transform 'RandomHorizontalFlop', did you mean"),
        (
            ["ToArray", {"Cutout": {"holes": 3, "length": 1}}],
            "v[1].Cutout: unknown option 'holes', did you mean",
        ),
        (["ToArray", {"Cutout": {"n_holes": 3}}], "v[1].Cutout: option 'length' is missing"),
        (
            ["ToArray", {"Cutout": {"n_holes": "3", "length": 1}}],
            "v[1].Cutout.n_holes: '3' is not a whole number",
        ),
        (["ToArray", {"Cutout": {"n_holes": True, "length": 1}}], "v[1].Cutout.n_holes: True is not"),
        (["ToArray", {"Cutout": {"n_holes": 0, "length": 1}}], "v[1].Cutout: Cutout needs n_holes"),
        (
            ["ToArray", {"Normalize": {"mean": [0, 0], "std": [1, 1, 1]}}],
            "mean: [0, 0] is not a list of three",
        ),
        (["ToArray", {"Normalize": {"mean": [0, 0, 0], "std": [1, 0, 1]}}], "std: [1, 0, 1] is not"),
        ([{"RandomGrayscale": {"p": 1.2}}, "ToArray"], "v[0].RandomGrayscale.p: 1.2 is not a probability"),
        (
            [{"RandomApply": {"func": "Blur", "p": 1}}, "ToArray"],
            "v[0].RandomApply.func: unknown transform 'Blur'",
        ),
        ([{"RandomApply": {"p": 1}}, "ToArray"], "v[0].RandomApply: option 'func' is missing"),
        ([{"ColorJitter": {"hue": 0.7}}, "ToArray"], "v[0].ColorJitter: ColorJitter needs"),
        ([{"RandomCrop": {"size": [1, 2, 3]}}, "ToArray"], "v[0].RandomCrop.size: [1, 2, 3] is not"),
        ([{"RandomCrop": {"padding": 1, "fill": 300}}, "ToArray"], "RandomCrop.fill: 300 is not a level"),
        ([{"RandomGrayscale": {"keys": ["image"]}}, "ToArray"], "unknown option 'keys'"),
        ([{"ToArray": {}, "Cutout": {}}], "v[0]: expected a name or {Name: {option: value}}"),
        ([["ToArray"]], "v[0]: expected a name"),
        ([3], "v[0]: expected a name"),
        ([{"RandomGrayscale": [0.2]}, "ToArray"], "v[0]: expected a name"),
        ("ToArray", "v: expected a list of transforms, not 'ToArray'"),
        ([], "v: expected a list"),
        (None, "v: expected a list"),
        (["RandomHorizontalFlip"], "v: needs ToArray exactly once, it is there 0 times"),
        (["ToArray", "ToArray"], "it is there 2 times"),
        (["ToArray", "RandomGrayscale"], "v[1]: RandomGrayscale has to come before ToArray"),
        ([NORMALIZE, "ToArray"], "v[0]: Normalize has to come after ToArray"),
    ],
)
def test_mistakes_are_named_with_their_place(steps, message):
    with pytest.raises(UserError) as caught:
        build_view(steps, "v")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_nearest_name_is_suggested():
    with pytest.raises(UserError, match="did you mean 'Cutout'"):
        build_view(["ToArray", "CutOut"], "views.train[1]")


def test_every_option_belongs_to_a_transform():
    import inspect

    used = {name for transform in TRANSFORMS.values() for name in inspect.signature(transform).parameters}
    assert set(OPTIONS) <= used
