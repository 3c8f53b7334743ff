"""The network that a run leaves behind, ready to use."""

from __future__ import annotations

import os

import paddle

from ppcds.config import Recipe
from ppcds.errors import UserError
from ppcds.models import build_backbone
from ppcds.weights import first_not_finite, load_weights, read_metadata, set_weights


def load_deployed(recipe: Recipe, num_classes: int, weights: str | os.PathLike) -> paddle.nn.Layer:
    """The recipe's network with the weights of a file, in evaluation mode: images -> logits.

    Raises UserError if the file is a checkpoint or another network's, or holds numbers that are not finite.
    """
    if "state" in read_metadata(weights):
        raise UserError(f"{weights} is a checkpoint to resume from: use the best_model.pdparams beside it")
    arrays = load_weights(weights)
    broken = first_not_finite(arrays)
    if broken:
        raise UserError(f"{weights}: {broken} holds numbers that are not finite: train again")
    model = recipe.model
    network = build_backbone(model.name, num_classes, model.width, model.stem)
    set_weights(network, arrays, weights)
    network.eval()
    return network
