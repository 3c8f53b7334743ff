"""Weights of an earlier run as the start of a network that may end differently."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from paddle import nn

from ppcds.errors import UserError
from ppcds.models.cds_network import CDSNetwork
from ppcds.models.deep_supervision import DeepSupervisionNetwork
from ppcds.models.encoder import Encoder
from ppcds.models.headed import HeadedClassifier
from ppcds.weights import set_weights


def load_pretrained(
    network: nn.Layer, arrays: Mapping[str, np.ndarray], source: str, new_classifier: bool = False
) -> str:
    """Start a backbone, a HeadedClassifier or an Encoder from the weights of any of the three.

    The backbone has to fit completely. The classifier `fc` is taken if it fits and stood on the same layers,
    and starts anew otherwise, or by `new_classifier`; layers of the projection head that the network lacks
    are left out; an Encoder's head starts anew if there is none in the file. Of a CDSNetwork or
    DeepSupervisionNetwork the backbone is set.
    Returns a sentence that says all this, for the log.  Raises UserError naming `source`, with nothing
    changed, if the backbone does not fit or a layer of the head is missing that a HeadedClassifier keeps.
    """
    if isinstance(network, (CDSNetwork, DeepSupervisionNetwork)):
        network = network.backbone
    bare = not isinstance(network, (HeadedClassifier, Encoder))
    own = {_place(name, bare): tensor for name, tensor in network.state_dict().items()}
    flat = not any(name.startswith("backbone.") for name in arrays)
    given = {_place(name, flat): np.asarray(array) for name, array in arrays.items()}

    own_layers, given_layers = _head_layers(own), _head_layers(given)
    notes = []
    if isinstance(network, HeadedClassifier) and not set(own_layers) <= set(given_layers):
        raise UserError(
            f"{source}: holds {len(given_layers)} layers of a projection head, "
            f"model.from_head_layer keeps {len(own_layers)}"
        )
    of_encoder = not _shapes(given, "fc.")  # which has its whole head
    depth = network.projection.full_depth if isinstance(network, HeadedClassifier) else None
    if depth and of_encoder and len(given_layers) != depth:
        raise UserError(
            f"{source}: its projection head has {len(given_layers)} layers, model.head has {depth}: give the "
            "model.head that it was pretrained with"
        )
    if isinstance(network, Encoder) and own_layers and not given_layers:
        given.update(_values(own, "projection."))
        notes.append("the projection head starts anew")
    left_out = [layer for layer in given_layers if layer not in own_layers]
    if left_out:
        given = {name: array for name, array in given.items() if _head_layer(name) not in left_out}
        notes.append(f"{', '.join(left_out)} left out")

    # A classifier of the same size may still have stood on other features.
    fits = not new_classifier and own_layers == given_layers and _shapes(own, "fc.") == _shapes(given, "fc.")
    if _shapes(own, "fc.") and not fits:
        notes.append("fc starts anew")
    elif _shapes(given, "fc."):
        notes.append("fc is taken over" if fits else "fc left out")
    if not fits:
        given = {name: array for name, array in given.items() if not name.startswith("fc.")}
        given.update(_values(own, "fc."))

    if bare:
        given = {name.removeprefix("backbone."): array for name, array in given.items()}
    set_weights(network, given, source)
    return "; ".join([f"weights of {source}", *notes])


def _place(name: str, flat: bool) -> str:
    """A bare backbone's name as it would be in a HeadedClassifier: backbone.*, and fc.* beside it."""
    return f"backbone.{name}" if flat and not name.startswith("fc.") else name


def _head_layer(name: str) -> str | None:
    """projection.layers.1.0.weight -> projection.layers.1; None for what is not in the head."""
    return ".".join(name.split(".")[:3]) if name.startswith("projection.") else None


def _head_layers(tensors: Mapping) -> list[str]:
    return sorted({_head_layer(name) for name in tensors} - {None})


def _shapes(tensors: Mapping, start: str) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in tensors.items() if name.startswith(start)}


def _values(tensors: Mapping, start: str) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in tensors.items() if name.startswith(start)}
