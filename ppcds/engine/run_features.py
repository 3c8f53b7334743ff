"""How good the features of a run are, after its last epoch and before its first."""

from __future__ import annotations

from pathlib import Path

from ppcds.config import Recipe
from ppcds.datasets.build import build_probe_splits
from ppcds.engine.features import features_of_split
from ppcds.engine.probe import measure_representation
from ppcds.engine.trainer import Trainer


def measure_run(recipe: Recipe, trained: bool) -> dict:
    """Nearest neighbours, linear probe and effective rank, as `measure_representation` gives them.

    Of the network after the run's last step, not of best_model.pdparams, which would hide a collapse; with
    trained=False of the weights it started from. The features are kept in the run's folder.
    """
    network = Trainer(recipe, resume=trained).method.deployed()
    features = []
    for name, split in zip(("train", "val"), build_probe_splits(recipe)):
        kept = Path(recipe.run.output_dir, f"{'last' if trained else 'first'}_features_{name}.safetensors")
        features.append(features_of_split(network, split, path=kept, recipe=recipe))
    return measure_representation(*features, [1.0], recipe.data.subset_seed, recipe.run.seed)
