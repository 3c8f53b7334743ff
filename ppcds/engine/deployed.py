"""The network that a run leaves behind, ready to use."""

from __future__ import annotations

import os

import paddle

from ppcds.config import Recipe
from ppcds.errors import UserError
from ppcds.methods import METHODS
from ppcds.models import build_encoder, build_network
from ppcds.models.processor_conv import use_onednn
from ppcds.models.unmade import require_fit_unmade
from ppcds.options import did_you_mean
from ppcds.weights import load_weights, read_metadata, set_weights


def load_deployed(recipe: Recipe, num_classes: int, weights: str | os.PathLike) -> paddle.nn.Layer:
    """The recipe's network with the weights of a file, in evaluation mode: images -> logits, or features
    where the recipe's method learns a representation (an Encoder).

    Raises UserError if the file is a checkpoint or another network's, or holds numbers that are not finite;
    before the network takes any memory, which a recipe beside the file may ask for without end.
    """
    if "state" in read_metadata(weights):
        raise UserError(f"{weights} is a checkpoint to resume from: use the best_model.pdparams beside it")
    arrays = load_weights(weights)
    require_fit_unmade(lambda: build_deployed(recipe, num_classes), arrays, weights)
    network = use_onednn(build_deployed(recipe, num_classes))
    set_weights(network, arrays, weights)
    network.eval()
    return network


def build_deployed(recipe: Recipe, num_classes: int) -> paddle.nn.Layer:
    """The network that the recipe's run leaves behind, with new weights."""
    method = METHODS.get(recipe.method.name)
    if method is None:
        raise UserError(
            f"method.name: no method {recipe.method.name!r}{did_you_mean(recipe.method.name, METHODS)}"
        )
    if method.representation:
        return build_encoder(recipe.model, recipe.data.size)
    return build_network(recipe.model, num_classes, recipe.data.size)


def load_classifier(recipe: Recipe, num_classes: int, weights: str | os.PathLike) -> paddle.nn.Layer:
    """load_deployed, but UserError for an encoder, which gives no classes."""
    network = load_deployed(recipe, num_classes, weights)
    if not hasattr(network, "classify"):
        raise UserError(
            f"{weights} is an encoder, method {recipe.method.name} trains no classifier: measure it with "
            "tools/probe.py, or fine-tune it (model.pretrained)"
        )
    return network
