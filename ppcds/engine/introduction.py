"""Before the first step: does everything fit together, and what is it that runs."""

from __future__ import annotations

import numpy as np
import paddle

from ppcds.config import Recipe
from ppcds.datasets.loader import load_batches
from ppcds.datasets.split import ImageSplit
from ppcds.engine.run_log import RunLog
from ppcds.methods import Method
from ppcds.models import Backbone
from ppcds.models.processor_conv import ProcessorConv2D
from ppcds.runtime import describe_processor
from ppcds.transforms.grid import view_grid


def rehearse(method: Method, train: ImageSplit, evaluated: ImageSplit, rows: list[int]) -> None:
    """Some training rows and a validation image through the network, trained on nothing, so that what cannot
    work fails before it began.

    In evaluation mode without gradients, so that it leaves no trace in the weights.
    """
    method.eval()
    with paddle.no_grad():
        for views, _ in load_batches(train, [rows]):
            for view in views:
                method.deployed()(view)
        for views, _ in load_batches(evaluated, [[0]]):
            method.deployed()(views[0])


def introduce(log: RunLog, recipe: Recipe, method: Method, train: ImageSplit, evaluated: ImageSplit) -> None:
    """Say what runs, on what."""
    trained = sum(int(np.prod(p.shape)) for p in method.parameters() if not p.stop_gradient)
    device = paddle.device.get_device()
    computing = f"Paddle {paddle.__version__} on {device}"
    if device == "cpu":
        computing += f", convolutions by {_whose_kernels(recipe, method)}"
    log.say(f"processor: {describe_processor()}; {computing}")
    labelled = int((train.labels >= 0).sum())
    of_them = "" if labelled == len(train) else f" ({labelled} labelled)"
    held_back = "held back" if recipe.data.hold_back else "validation"
    log.say(
        f"{recipe.method.name} on {train.root}: {len(train)} training{of_them} and {len(evaluated)} "
        f"{held_back} images, {len(train.classes)} classes; "
        f"{recipe.model.name}, {trained / 1e6:.3g} M weights"
    )
    if method.started_from:
        log.say(f"starts from {method.started_from}")
    if method.representation:
        log.say("eval_accuracy is that of the weighted nearest neighbours of the features")


def _whose_kernels(recipe: Recipe, method: Method) -> str:
    """Whose kernels compute the large convolutions of the stages on a processor (models.processor_conv)."""
    backbones = [layer for layer in method.sublayers() if isinstance(layer, Backbone)]
    placed = any(
        isinstance(layer, ProcessorConv2D) for backbone in backbones for layer in backbone.sublayers()
    )
    return "oneDNN" if placed and not recipe.run.to_static else "Paddle's own kernels"


def show_views(log: RunLog, train: ImageSplit, seed: int, rows: list[int]) -> None:
    """The views of these rows, the first of the run, as a VisualDL picture."""
    for views, _ in load_batches(train, [rows], seed=seed):
        log.picture("views", view_grid(list(zip(*(view.numpy() for view in views)))))
