"""Validation accuracy over images seen, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from ppcds.report.confusion import fonts
from ppcds.report.run_result import RunResult

# Told apart by readers with any colour vision: Okabe and Ito 2008, without the yellow that paper swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
STYLES = ("-", "--", "-.", ":")  # one more round of colours each


def draw_accuracy_curves(results: Mapping[str, Mapping[int, Optional[RunResult]]]) -> Figure:
    """For each label a thin line a seed, and a thick one their mean; the legend has the last epoch's.

    results: label -> seed -> result; what is not finished (None), or was not measured, is left out.
    The figure belongs to no window and no global state; `figure.savefig(path)` saves it.
    """
    with rc_context({"font.family": fonts()}):  # labels may be Chinese
        figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
        axes = figure.add_subplot()
        for number, (label, runs) in enumerate(results.items()):
            curves = [run.curve.set_index("images_seen")["eval_accuracy"] for run in runs.values() if run]
            curves = [curve for curve in curves if curve.notna().any()]
            if not curves:
                continue
            look = {"color": COLOURS[number % len(COLOURS)]}
            look["linestyle"] = STYLES[number // len(COLOURS) % len(STYLES)]
            # only where all seeds were measured: a mean of fewer would jump
            mean = pd.concat(curves, axis=1, join="inner").mean(axis=1)
            point = {"marker": "o"} if len(mean) == 1 else {}
            axes.plot(mean.index, mean, linewidth=2, label=_legend(label, curves), **look, **point)
            if len(curves) > 1:
                for curve in curves:
                    axes.plot(curve.index, curve, linewidth=0.7, alpha=0.5, **look)
        axes.set_xlabel("training images seen (views)")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_ylabel("validation accuracy (share of images)")
        axes.grid(alpha=0.3)
        for text in axes.legend(title="last epoch, mean ± std over seeds").get_texts():
            text.set_parse_math(False)  # a label with two dollar signs is no formula
    return figure


def _legend(label: str, curves: list[pd.Series]) -> str:
    last = pd.Series([curve.iloc[-1] for curve in curves])
    if len(last) == 1:
        return f"{label}: {last[0]:.3f} (one seed)"
    return f"{label}: {last.mean():.3f} ± {last.std():.3f} ({len(last)} seeds)"
