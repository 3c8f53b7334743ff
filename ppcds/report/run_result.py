"""What a finished run came to, read from its folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Optional

import pandas as pd

from ppcds.config import Recipe
from ppcds.engine.series import is_finished, read_seconds
from ppcds.methods import METHODS
from ppcds.methods.ema import RUNNING_STATISTICS
from ppcds.weights import load_weights, read_metadata

CURVE = ["epoch", "images_seen", "eval_accuracy", "eval_loss"]


@dataclasses.dataclass(frozen=True)
class RunResult:
    """A finished run's accuracy, and what it cost.

    curve: columns epoch, images_seen, eval_accuracy and eval_loss (NaN where that was not measured), a row an
    evaluated epoch, and the last.  seconds: None if not timed.
    parameters: of the deployed network.  evaluated_on: in words, of which images the accuracy is.
    measured_by: in words, what named their classes: the classifier, or neighbours where there is none.
    """

    curve: pd.DataFrame
    seconds: Optional[float]
    parameters: int
    evaluated_on: str
    measured_by: str

    @property
    def accuracy(self) -> float:
        """Of the last epoch: the best one would be chosen on the very images it is measured on.

        NaN if nothing could be measured, as of features without a labelled image to be near to.
        """
        return float(self.curve["eval_accuracy"].iloc[-1])

    @property
    def images_seen(self) -> int:
        return int(self.curve["images_seen"].iloc[-1])


def read_result(recipe: Recipe) -> Optional[RunResult]:
    """The result of the run in the recipe's folder, None if it is not finished.

    Raises UserError if the run there is of another recipe.
    """
    if not is_finished(recipe):
        return None
    folder = Path(recipe.run.output_dir)
    saved = read_metadata(folder / "latest.safetensors")
    history = pd.DataFrame(json.loads(saved["state"])["history"]).reindex(columns=CURVE)
    history = history.astype({"eval_accuracy": float, "eval_loss": float})
    shown = history["eval_accuracy"].notna()  # some epochs are not evaluated
    shown.iloc[-1] = True  # whatever could be measured, it tells the cost
    data = json.loads(saved["recipe"])["data"]
    representation = METHODS[recipe.method.name].representation
    held_back = f"{data['hold_back']:.0%} of train, held back" if data["hold_back"] else "val"
    return RunResult(
        curve=history[shown],
        seconds=read_seconds(folder),
        parameters=count_parameters(folder / "best_model.pdparams"),
        evaluated_on=f"{data['root']}: {held_back}",
        measured_by="nearest neighbours of the features" if representation else "its classifier",
    )


def count_parameters(path: Path) -> int:
    """Weights of the deployed network in that file, without running statistics.

    The projection head of an encoder, a file without classifier, does not count: only training needs it.
    """
    arrays = load_weights(path)
    is_encoder = not any(name.startswith("fc.") for name in arrays)
    return sum(
        array.size
        for name, array in arrays.items()
        if name.rsplit(".", 1)[-1] not in RUNNING_STATISTICS
        and not (is_encoder and name.startswith("projection."))
    )
