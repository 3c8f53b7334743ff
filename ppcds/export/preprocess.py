"""What has to be done to an image before an exported model sees it, as numbers in a file."""

from __future__ import annotations

from collections.abc import Sequence

from ppcds.config import Recipe
from ppcds.errors import UserError
from ppcds.transforms.arrays import Normalize, ToArray
from ppcds.transforms.build import build_view


def describe_preprocessing(recipe: Recipe, classes: Sequence[str] | None) -> dict:
    """The recipe's evaluation view and what the model gives, as what JSON holds.

    An image in RGB is resized to `size` (height, width) by `interpolation` ("bilinear" or "area", as OpenCV
    has them), divided by 255, then (x - mean) / std for each channel; the model takes [N, 3, H, W] float32.
    classes: names in the order of the logits; None for a model that gives features.
    Raises UserError if the view has steps that are not numbers of this kind.
    """
    mean, std = [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]
    normalised = False
    for i, step in enumerate(build_view(recipe.views.eval, "views.eval").steps):
        if isinstance(step, Normalize) and not normalised:
            mean, std, normalised = list(step.mean), list(step.std), True
        elif not isinstance(step, ToArray):
            raise UserError(
                f"views.eval[{i}]: {type(step).__name__} cannot be written beside an exported model: "
                "ToArray and one Normalize can"
            )
    return {
        "input": "images",
        "layout": "NCHW",
        "dtype": "float32",
        "channels": "RGB",
        "size": list(recipe.data.size),
        "interpolation": recipe.data.interpolation,
        "divide_by": 255,
        "mean": mean,
        "std": std,
        "output": "features" if classes is None else "logits",
        "classes": None if classes is None else list(classes),
    }
