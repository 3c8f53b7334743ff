"""From a recipe to its method: the network it asks for, its teacher, the weights it starts from."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

import numpy as np
from paddle import nn

from ppcds.config import Recipe, load_recipe
from ppcds.errors import UserError
from ppcds.methods import METHODS, Method
from ppcds.methods.freeze import freeze
from ppcds.methods.supervised import Supervised
from ppcds.models import build_encoder, build_network, load_pretrained
from ppcds.models.processor_conv import use_onednn
from ppcds.models.unmade import require_fit_unmade
from ppcds.options import check_options, did_you_mean
from ppcds.weights import load_weights, read_metadata, set_weights


def build_method(
    recipe: Recipe,
    num_classes: int,
    pretrained: bool = True,
    saved: Optional[Mapping[str, np.ndarray]] = None,
    source: str | os.PathLike = "",
) -> Method:
    """The recipe's method around the recipe's network, its unset options filled in with their defaults.

    pretrained: whether to start from model.pretrained; a run that is resumed does not need that file.
    saved: the state that the method is to take later, of file `source`: it has to fit before memory is taken.
    A constructor's first parameters say by their names what it is built around: backbone, encoder, teacher.
    Raises UserError for an unknown method or option, and for weights of another network.
    """
    complete_options(recipe)
    section, model, size = recipe.method, recipe.model, recipe.data.size
    method, options = METHODS[section.name], section.options()
    wanted = inspect.signature(method).parameters
    taught = {}
    if "teacher" in wanted:
        taught["teacher"] = load_teacher(options.pop("teacher_weights"), recipe)

    def make() -> Method:
        if "encoder" in wanted:
            name, network = "encoder", build_encoder(model, size)
        else:
            name, network = "backbone", build_network(model, num_classes, size)
        started_from = ""
        if model.pretrained and pretrained:
            arrays = load_weights(model.pretrained)
            started_from = load_pretrained(network, arrays, model.pretrained, model.new_classifier)
        made = method(**taught, **{name: network}, **options)
        made.started_from = started_from
        return made

    if saved is not None:
        require_fit_unmade(make, saved, source)
    return use_onednn(make())


def complete_options(recipe: Recipe) -> None:
    """Check the method's options against its constructor and fill in the defaults of those that are unset.

    Raises UserError for an unknown method or option.
    """
    section = recipe.method
    if section.name not in METHODS:
        raise UserError(f"method.name: no method {section.name!r}{did_you_mean(section.name, METHODS)}")
    method, given = METHODS[section.name], section.options()
    taught = "teacher" in inspect.signature(method).parameters
    if taught and not isinstance(given.pop("teacher_weights", None), str):
        raise UserError("method.teacher_weights: name the file of the teacher, in the folder of its run")
    options = check_options(method, given, "method", skip=("backbone", "encoder", "teacher"))
    for name, value in options.items():
        setattr(section, name, value)  # the saved recipe is complete


def load_teacher(weights: str, student: Recipe) -> Method:
    """A run's method with its weights, in evaluation mode and without gradients.

    weights: best_model.pdparams or last_model.pdparams, of which the deployed network is restored alone, or
    latest.safetensors, which has the training heads too. The recipe is the recipe.yaml beside the file.
    Raises UserError if its classes or its evaluation view are not the student's.
    """
    path = Path(weights)
    recipe_file = path.parent / "recipe.yaml"
    for file in (path, recipe_file):
        if not file.is_file():
            raise UserError(f"method.teacher_weights: there is no {file}")
    recipe = load_recipe(str(recipe_file))
    if not recipe.data.classes:
        raise UserError(
            f"{recipe_file}: data.classes is missing, and the teacher's classifier needs its number"
        )
    if student.data.classes and student.data.classes != recipe.data.classes:
        raise UserError(f"method.teacher_weights: {recipe_file} has other data.classes, or in another order")
    if student.views.eval != recipe.views.eval:
        raise UserError(
            f"method.teacher_weights: {recipe_file} has other views.eval, so it saw other colours"
        )
    num_classes = len(recipe.data.classes)
    arrays = load_weights(path)
    if "state" in read_metadata(path):
        recipe.model.pretrained = None  # what it started from is of no use now
        method_weights = {k[len("method.") :]: v for k, v in arrays.items() if k.startswith("method.")}
        teacher = build_method(recipe, num_classes, saved=method_weights, source=path)
        set_weights(teacher, method_weights, str(path))
    else:
        if METHODS[recipe.method.name].representation:
            raise UserError(f"{path} is an encoder without classifier: fine-tune it first")

        def make() -> nn.Layer:
            return build_network(recipe.model, num_classes, recipe.data.size)

        require_fit_unmade(make, arrays, path)
        teacher = use_onednn(Supervised(make()))
        set_weights(teacher.deployed(), arrays, str(path))
    return freeze(teacher)
