"""A confusion matrix as a picture."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

CELL, SMALLEST, LARGEST = 0.6, 3.0, 24.0  # inches: side of a cell, and least and most of the matrix
MOST_WITH_COUNTS = 40  # with more classes the cells become too small for numbers
CHINESE_FONTS = ("Noto Sans CJK SC", "Source Han Sans SC", "SimHei", "Microsoft YaHei", "PingFang SC")


def draw_confusion(confusion: pd.DataFrame, title: str = "") -> Figure:
    """Counts in every cell, coloured by their share of the row: the diagonal shows the recall.

    confusion: [C, C] counts, a row a true class, a column a predicted one, both named.
    The figure belongs to no window and no global state; `figure.savefig(path, bbox_inches="tight")` saves it.
    """
    counts, classes = confusion.to_numpy(), [str(name) for name in confusion.columns]
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    side = min(max(CELL * len(classes), SMALLEST), LARGEST)
    cell = side / len(classes)
    # points; a cell has 72 x `cell` of them, and has to hold a number of a few digits, or a name's height
    font = {"size": min(9.0, 72 * cell / 2), "family": fonts()}
    figure = Figure(figsize=(side + 3.2, side + 2.2), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(classes))
    # parse_math: a name with two dollar signs is no formula
    axes.set_xticks(
        places, classes, rotation=45, ha="right", rotation_mode="anchor", parse_math=False, **font
    )
    axes.set_yticks(places, classes, parse_math=False, **font)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(title, parse_math=False)
    if len(classes) <= MOST_WITH_COUNTS:
        for row, column in ((row, column) for row in places for column in places):
            shade = "white" if shares[row, column] > 0.5 else "black"
            text = str(counts[row, column])
            axes.text(column, row, text, ha="center", va="center", color=shade, size=font["size"])
    figure.colorbar(
        picture, ax=axes, shrink=0.8, aspect=max(20, 3 * side), label="share of the true class's images"
    )
    return figure


def fonts() -> list[str]:
    """Matplotlib's own font, and a Chinese one for the characters it lacks, if one is installed."""
    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *[name for name in CHINESE_FONTS if name in installed]]
