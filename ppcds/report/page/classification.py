"""How well the classes are told: confusion matrix, each class, calibration."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from ppcds.engine.answers import Answers
from ppcds.engine.calibration import BINS, expected_calibration_error, reliability_table
from ppcds.engine.metrics import ClassificationMetrics, measure_classification
from ppcds.report.page.charts import COLOURS, INK, Chart, as_spec

MOST_CLASSES = 60  # in a matrix: of more, those that are confused most
MOST_WITH_COUNTS = 20  # in a matrix whose cells have room for numbers
CELL, BORDER = 30, 110  # px: height of a cell, of the names below


def describe_classification(answers: Answers) -> dict:
    """metrics, per_class (rows of a table), ece, charts (matrix first), pairs most often confused."""
    classes = answers.split.classes
    metrics = measure_classification(answers.scores, answers.labels, classes)
    reliability = reliability_table(answers.probabilities, answers.labels)
    rows = metrics.per_class.reset_index(names="class").to_dict(orient="records")
    return {
        "metrics": metrics,
        "per_class": rows,
        "means": metrics.class_means(),
        "ece": expected_calibration_error(reliability),
        "confidence": float(answers.probabilities.max(axis=1).mean()),
        "confused": most_confused(metrics.confusion, 8),
        "matrix": confusion_chart(metrics),
        "calibration": calibration_charts(reliability, answers.by_neighbours),
    }


def most_confused(confusion: pd.DataFrame, count: int) -> list[dict]:
    """Pairs of classes with the most errors: true, predicted, images, and their share of the true class."""
    counts = confusion.to_numpy()
    wrong = counts - np.diag(np.diag(counts))
    totals = counts.sum(axis=1)
    best = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = zip(*np.unravel_index(best, wrong.shape))
    names = list(confusion.columns)
    return [
        {
            "true": names[i],
            "predicted": names[j],
            "images": int(wrong[i, j]),
            "share": wrong[i, j] / totals[i],
        }
        for i, j in pairs
        if wrong[i, j]
    ]


def confusion_chart(metrics: ClassificationMetrics) -> Chart:
    """A cell a pair of classes, as strong as its share of the true class's images is large."""
    confusion = metrics.confusion
    caption = (
        "A row a true class; the stronger a cell, the larger its share of the row: the diagonal is recall."
    )
    if len(confusion) > MOST_CLASSES:
        counts = confusion.to_numpy()
        errors = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
        kept = np.sort(np.argsort(-errors, kind="stable")[:MOST_CLASSES])
        caption += f" Of {len(counts)} classes, the {MOST_CLASSES} with the most errors."
        confusion = confusion.iloc[kept, kept]
    totals = metrics.per_class["support"].to_numpy()[metrics.confusion.index.get_indexer(confusion.index)]
    names = list(confusion.columns)
    cells = [
        {"true": names[i], "predicted": names[j], "images": int(n), "share": float(n / max(totals[i], 1))}
        for (i, j), n in np.ndenumerate(confusion.to_numpy())
        if n
    ]
    turned = alt.Axis(labelAngle=-45)
    base = alt.Chart(pd.DataFrame(cells, columns=["true", "predicted", "images", "share"])).encode(
        x=alt.X("predicted:N", title="predicted class", scale=alt.Scale(domain=names), axis=turned),
        y=alt.Y("true:N", title="true class", scale=alt.Scale(domain=names)),
        tooltip=[
            alt.Tooltip("true:N", title="true class"),
            alt.Tooltip("predicted:N", title="predicted class"),
            alt.Tooltip("images:Q", title="images"),
            alt.Tooltip("share:Q", title="share of the true class", format=".1%"),
        ],
    )
    # by opacity: a scale of colours would have to begin with the page's ground
    cell = base.mark_rect(color=COLOURS[0]).encode(
        opacity=alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.03, 1]), legend=None)
    )
    few = len(names) <= MOST_WITH_COUNTS
    drawn = alt.layer(cell, _counts(base)) if few else cell
    height = (CELL if few else 12) * len(names) + BORDER
    return Chart("Confusion matrix (images)", as_spec(drawn, height), caption, True)


def _counts(base: alt.Chart) -> alt.Chart:
    return base.mark_text(fontSize=11).encode(
        text="images:Q", color=alt.condition("datum.share > 0.55", alt.value("white"), alt.value(INK))
    )


def calibration_charts(reliability: pd.DataFrame, by_neighbours: bool) -> list[Chart]:
    """The reliability diagram, and how often each confidence is."""
    table = reliability[reliability["images"] > 0].assign(one=1.0)
    sure = "share of votes" if by_neighbours else "confidence (probability of the predicted class)"
    tooltip = [
        alt.Tooltip("low:Q", title="from", format=".3f"),
        alt.Tooltip("high:Q", title="to", format=".3f"),
        alt.Tooltip("accuracy:Q", title="accuracy (share of images)", format=".4f"),
        alt.Tooltip("confidence:Q", title="mean confidence", format=".4f"),
        alt.Tooltip("images:Q", title="images"),
    ]
    unit = alt.Scale(domain=[0, 1])
    bars = alt.Chart(table).encode(x=alt.X("low:Q", title=sure, scale=unit), x2="high:Q", tooltip=tooltip)
    accuracy = bars.mark_bar(color=COLOURS[0], opacity=0.75, binSpacing=1).encode(
        y=alt.Y("accuracy:Q", title="accuracy (share of images)", scale=unit), y2=alt.Y2Datum(0)
    )
    ideal = (
        alt.Chart(pd.DataFrame({"x": [0, 1], "y": [0, 1]}))
        .mark_line(color=INK, strokeDash=[5, 4], strokeWidth=1.2)
        .encode(x=alt.X("x:Q", scale=unit), y=alt.Y("y:Q", scale=unit))
    )
    means = (
        alt.Chart(table)
        .mark_point(color=COLOURS[1], filled=True, size=36, opacity=1)
        .encode(x=alt.X("confidence:Q"), y=alt.Y("accuracy:Q"), tooltip=tooltip)
    )
    images = bars.mark_bar(color=COLOURS[8], opacity=0.75, binSpacing=1).encode(
        y=alt.Y("images:Q", title="images"), y2=alt.Y2Datum(0)
    )
    said = f"{BINS} bins of equal width. Dashed: as right as sure. Points: at the mean confidence of a bin."
    return [
        Chart("Reliability", as_spec(alt.layer(accuracy, ideal, means)), said),
        Chart("Confidences", as_spec(images), "How many images fall into each bin."),
    ]
