"""Run folders as a finished run leaves them, without the training."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from ppcds.config import load_recipe
from ppcds.engine.checkpoint import TrainState
from ppcds.methods.build import complete_options
from ppcds.weights import save_weights

NETWORK = {"conv1.weight": (4, 3, 3, 3), "bn1.weight": (4,), "bn1._mean": (4,), "bn1._variance": (4,)}
CLASSIFIER = {**NETWORK, "fc.weight": (4, 10), "fc.bias": (10,)}  # 108 + 4 + 50 learned, 8 counted


@pytest.fixture
def make_run(tmp_path):
    """make(name, accuracies, ...) -> the recipe of a run in tmp_path/name, whose folder holds its results.

    accuracies: one an epoch; 1,000 images an epoch.  epochs: of the recipe, if it is not finished.
    """

    def make(name, accuracies, *overrides, epochs=None, seconds=None, images=1000):
        folder = tmp_path / name
        given = [f"optim.epochs={epochs or len(accuracies)}", f"run.output_dir={folder}", *overrides]
        recipe = load_recipe("demo", ["method.name=supervised", "optim.schedule.name=constant", *given])
        complete = recipe.model_copy(deep=True)
        complete_options(complete)  # as a run saves it
        saved = complete.model_dump(mode="json")
        saved["data"]["classes"] = ["a", "b"]
        history = [
            {
                "epoch": number,
                "images_seen": number * images,
                **({} if accuracy is None else {"eval_accuracy": accuracy}),
            }
            for number, accuracy in enumerate(accuracies, start=1)
        ]
        state = TrainState(epoch=len(accuracies), history=history, images_seen=len(accuracies) * images)
        metadata = {"state": json.dumps(dataclasses.asdict(state)), "recipe": json.dumps(saved)}
        save_weights({"method.w": np.zeros(1, "float32")}, folder / "latest.safetensors", metadata)
        arrays = {name: np.zeros(shape, "float32") for name, shape in CLASSIFIER.items()}
        save_weights(arrays, folder / "best_model.pdparams")
        if seconds is not None:
            Path(folder, "time.json").write_text(json.dumps({"seconds": seconds}))
        return recipe

    return make
