"""A trained network as a folder of files that run without ppcds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import paddle

from ppcds.config import Recipe
from ppcds.engine.deployed import load_deployed
from ppcds.errors import UserError
from ppcds.export import FORMATS
from ppcds.export.formats import STEM, WRITERS, NotConvertible, reason_against
from ppcds.export.parity import Agreement, drawn_images, require_parity
from ppcds.export.preprocess import describe_preprocessing
from ppcds.export.runtimes import Model, open_model
from ppcds.models import Encoder
from ppcds.transforms.build import build_view
from ppcds.whole_folder import folder_written_whole

PREPROCESS = "preprocess.json"
FILES = (PREPROCESS, *(f"{STEM}.{end}" for end in (*FORMATS, "pdiparams")))


def choose_formats(asked: Sequence[str] | None, say: Callable[[str], None]) -> list[str]:
    """The formats to write: those asked for, or all that can be written here; of others `say` tells why not.

    Raises UserError if one that was asked for cannot be written.
    """
    against = {name: reason_against(name) for name in asked or FORMATS}
    refused = [f"{STEM}.{name}: {reason}" for name, reason in against.items() if reason]
    if asked and refused:
        raise UserError(f"--formats: {'; '.join(refused)}")
    for line in refused:
        say(f"not written: {line}")
    return [name for name, reason in against.items() if not reason]


def plain_network(recipe: Recipe, num_classes: int, weights: str | os.PathLike) -> paddle.nn.Layer:
    """load_deployed, with maps [N, C, H, W] whatever order they had in training.

    What its images -> logits, or an encoder's images -> features, does not use is in no file.
    """
    recipe = recipe.model_copy(deep=True)
    recipe.model.channels_last = False
    return load_deployed(recipe, num_classes, weights)


def as_model(network: paddle.nn.Layer) -> Model:
    """A network in evaluation mode as the function that an exported file is."""

    def model(images: np.ndarray) -> np.ndarray:
        with paddle.no_grad():
            return network(paddle.to_tensor(images)).numpy()

    return model


def write_model_folder(
    folder: Path,
    recipe: Recipe,
    classes: Sequence[str],
    weights: str | os.PathLike,
    formats: Sequence[str],
    say: Callable[[str], None] | None = None,
) -> dict[str, Agreement]:
    """Write FILES of these formats to `folder`, all or nothing, and compare each with the trained network.

    Returns how well each file agrees, on drawn images, one alone and all in a batch. Raises UserError if one
    differs; `folder` is then as it was.  say: told of a format that this network cannot be written in, which
    is left out if another can; without it NotConvertible is raised.
    """
    trained = load_deployed(recipe, len(classes), weights)
    network = plain_network(recipe, len(classes), weights)
    preprocessing = describe_preprocessing(recipe, None if isinstance(trained, Encoder) else classes)
    view, size = build_view(recipe.views.eval, "views.eval"), tuple(recipe.data.size)
    images = np.stack([view(image) for image in drawn_images(size)])
    expected = as_model(trained)(images)
    found = {}
    with folder_written_whole(folder, FILES) as inside:
        text = json.dumps(preprocessing, indent=2, ensure_ascii=False) + "\n"
        (inside / PREPROCESS).write_text(text, encoding="utf-8")
        written = [name for name in formats if _is_written(name, network, size, inside, say)]
        if not written:
            raise UserError(f"{weights}: this network cannot be written in any format")
        for name in written:  # when all are there: the two of Paddle share their parameters
            file = inside / f"{STEM}.{name}"
            model = open_model(file)
            require_parity(file.name, expected[:1], model(images[:1]))
            found[file.name] = require_parity(file.name, expected, model(images))
    return found


def _is_written(name: str, network, size, folder: Path, say: Callable[[str], None] | None) -> bool:
    try:
        WRITERS[name](network, size, folder)
    except NotConvertible as error:
        if say is None:
            raise
        (folder / f"{STEM}.{name}").unlink(missing_ok=True)
        say(f"not written: {STEM}.{name}: {error}")
        return False
    return True


def count_parameters(network: paddle.nn.Layer) -> tuple[int, int]:
    """Learned numbers, and running statistics of batch norm beside them."""
    learned = sum(tensor.size for tensor in network.parameters() if not tensor.stop_gradient)
    return learned, sum(tensor.size for tensor in network.state_dict().values()) - learned
