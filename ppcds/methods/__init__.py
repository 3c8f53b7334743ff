"""Ways of learning, by the name a recipe gives them."""

from __future__ import annotations

from ppcds.config import Recipe
from ppcds.errors import UserError
from ppcds.methods.cds import ContrastiveDeepSupervision
from ppcds.methods.method import Method
from ppcds.methods.supervised import Supervised
from ppcds.models import build_backbone
from ppcds.options import check_options, did_you_mean
from ppcds.weights import load_weights, set_weights

METHODS = {
    "cds": ContrastiveDeepSupervision,
    "supervised": Supervised,
}


def build_method(recipe: Recipe, num_classes: int) -> Method:
    """The recipe's method around the recipe's backbone, its unset options filled in with their defaults.

    Raises UserError for an unknown method or option, and for pretrained weights of another network.
    """
    section, model = recipe.method, recipe.model
    if section.name not in METHODS:
        raise UserError(f"method.name: no method {section.name!r}{did_you_mean(section.name, METHODS)}")
    options = check_options(METHODS[section.name], section.options(), "method", skip=("backbone",))
    for name, value in options.items():
        setattr(section, name, value)  # the saved recipe is complete
    backbone = build_backbone(model.name, num_classes, model.width, model.stem)
    if model.pretrained:
        set_weights(backbone, load_weights(model.pretrained), model.pretrained)
    return METHODS[section.name](backbone, **options)


__all__ = ["METHODS", "ContrastiveDeepSupervision", "Method", "Supervised", "build_method"]
