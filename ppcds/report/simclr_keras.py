"""The Keras example of SimCLR on partly labelled data: its three runs as a table and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ppcds.report.accuracy_curves import COLOURS
from ppcds.report.run_result import RunResult
from ppcds.report.table_files import as_markdown, write_table

# Step: name, and published accuracy in percent (keras.io/examples/vision/semisupervised_simclr).
RUNS = {
    "baseline": ("supervised baseline", 59.90),
    "pretrain": ("pretraining, online probe", 56.65),
    "finetune": ("fine-tuning", 65.32),
}
REMARK = (
    "Published is the best epoch on the test images, to be held against the best epoch here; the last epoch "
    "is the fairer figure."
)


def simclr_keras_table(results: Mapping[str, RunResult]) -> pd.DataFrame:
    """A row a run: accuracies in percent, here and published, parameters, images seen.

    results: the name of the step, as in RUNS -> its result.
    """
    rows = []
    for step, result in results.items():
        name, published = RUNS[step]
        best = result.curve["eval_accuracy"].max()
        rows.append(
            {
                "run": name,
                "last epoch (%)": result.accuracy * 100,
                "best epoch (%)": best * 100,
                "published, best (%)": published,
                "parameters": result.parameters,
                "images seen": result.images_seen,
            }
        )
    return pd.DataFrame(rows)


def draw_simclr_keras(results: Mapping[str, RunResult]) -> Figure:
    """Validation accuracy and validation loss over epochs, a panel each and a line a run."""
    figure = Figure(figsize=(11, 4.5), dpi=120, layout="constrained")
    accuracy, loss = figure.subplots(1, 2)
    for (step, result), colour in zip(results.items(), COLOURS):
        curve = result.curve
        look = {"color": colour, "linewidth": 2, "marker": "o", "markersize": 4, "label": RUNS[step][0]}
        accuracy.plot(curve["epoch"], curve["eval_accuracy"] * 100, **look)
        loss.plot(curve["epoch"], curve["eval_loss"], **look)
    accuracy.set_ylabel("validation accuracy (%)")
    loss.set_ylabel("validation loss (cross entropy)")
    for axes in (accuracy, loss):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))
        axes.grid(alpha=0.3)
        above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "frameon": False}  # lines may be anywhere
        axes.legend(ncol=len(results), fontsize="small", **above)
    return figure


def write_simclr_keras(folder: Path, results: Mapping[str, RunResult]) -> str:
    """simclr_keras.md, .csv and .png in `folder`, each whole or as before; returns the Markdown.

    Raises UserError if the folder cannot be written to.
    """
    table = simclr_keras_table(results)
    shown = table.copy()
    for name in table.columns[1:]:
        form = "{:.2f}" if name.endswith("(%)") else "{:,}"
        shown[name] = table[name].map(form.format)
    text = f"{as_markdown(shown)}\n\n{REMARK}"
    write_table(folder, "simclr_keras", text, table, draw_simclr_keras(results))
    return text
