"""What was measured of a representation, as a table and as a file."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from ppcds.errors import UserError
from ppcds.files import written_whole


def representation_table(measured: dict) -> str:
    """What `measure_representation` found, as lines for the screen, its warnings last."""
    neighbours = f"{measured['knn_neighbours']} nearest neighbours"
    rows = [(neighbours, measured["knn_images"], measured["knn_accuracy"], "", "")]
    warnings = []
    for probe in measured["linear_probe"]:
        name = f"linear probe, {probe['label_fraction']:.4g} of the labels"
        chosen = (f"{probe['learning_rate']:g}", f"{probe['held_back_accuracy']:.4f}")
        rows.append((name, probe["train_images"], probe["accuracy"], *chosen))
        if probe["warning"]:
            warnings.append(f"\nwarning: {name}: {probe['warning']}")
    columns = ["", "labels", "accuracy", "learning rate", "held-back accuracy"]
    table = pd.DataFrame(rows, columns=columns).set_index("")
    shown = table.to_string(float_format="{:.4f}".format, index_names=False)
    about = "{test_images} images, {feature_dim} features, effective rank {effective_rank:.1f}"
    return f"{shown}\n{about.format(**measured)}{''.join(warnings)}"


def write_representation(path: Path, measured: dict, about: dict) -> None:
    """A JSON file of `about` (what was measured) and the numbers, whole or as it was before.

    Raises UserError if it cannot be written.
    """
    text = json.dumps({**about, **measured}, indent=2, ensure_ascii=False)
    try:
        with written_whole(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
