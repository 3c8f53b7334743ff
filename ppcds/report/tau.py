"""BYOL's experiment on tau: how good the features are for each decay of the target network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Optional

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ppcds.report.accuracy_curves import COLOURS
from ppcds.report.table_files import as_markdown, write_table

# Percent. Grill et al. 2020 (arXiv:2006.07733), table 5a, and for the untrained network section 3:
# ResNet-50, 300 epochs of ImageNet, linear probe.
PUBLISHED = {None: 1.4, 1.0: 18.8, 0.999: 69.8, 0.99: 72.5, 0.9: 68.4, 0.0: 0.3}
ACCURACIES = ["kNN (%)", "linear probe (%)", "published, ImageNet (%)"]


def tau_table(measured: Mapping[Optional[float], Mapping]) -> pd.DataFrame:
    """A row a tau, with accuracies in percent and the number of directions that the features fill.

    measured: tau, None for the untrained encoder, -> what `measure_representation` found.
    """
    rows = []
    for tau, found in measured.items():
        accuracies = (found["knn_accuracy"] * 100, found["linear_probe"][0]["accuracy"] * 100)
        name = "untrained" if tau is None else f"{tau:g}"
        rows.append([name, *accuracies, PUBLISHED.get(tau, np.nan), found["effective_rank"]])
    return pd.DataFrame(rows, columns=["tau", *ACCURACIES, "effective rank"])


def draw_tau(table: pd.DataFrame) -> Figure:
    """Bars of the accuracies measured, and what is published as diamonds, for each row of a tau_table."""
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(table))
    *ours, published = ACCURACIES
    for number, name in enumerate(ours):
        bars = axes.bar(places + (number - 0.5) * 0.38, table[name], 0.36, label=name, color=COLOURS[number])
        axes.bar_label(bars, fmt="%.1f", fontsize=8, padding=2)
    axes.plot(places, table[published], "D", color="black", markerfacecolor="white", label=published)
    axes.set_xticks(places, [name if name == "untrained" else f"τ = {name}" for name in table["tau"]])
    axes.set_xlabel("decay of the target network")
    axes.set_ylabel("accuracy (%)")
    axes.set_ylim(0, 100)
    axes.legend()
    return figure


def write_tau(folder: Path, table: pd.DataFrame) -> str:
    """byol_tau.md, .csv and .png in `folder`, each whole or as before; returns the Markdown.

    Raises UserError if the folder cannot be written to.
    """
    shown = table.copy()
    for name in [*ACCURACIES, "effective rank"]:
        shown[name] = ["" if np.isnan(value) else f"{value:.1f}" for value in table[name]]
    text = as_markdown(shown)
    write_table(folder, "byol_tau", text, table, draw_tau(table))
    return text
