"""Where images lie in each stage's embeddings, laid out in a plane."""

from __future__ import annotations

import altair as alt
import numpy as np
import paddle
import pandas as pd

from ppcds.config import Recipe
from ppcds.datasets.subset import stratified_part
from ppcds.engine.answers import Answers, shown
from ppcds.engine.stage_embeddings import LEAST, lay_out, layouts, stage_embeddings
from ppcds.report.page.charts import Chart, scatter_chart
from ppcds.report.page.errors import name_of

MOST_IMAGES = 1_000


def embedding_charts(
    network: paddle.nn.Layer, answers: Answers, recipe: Recipe, most: int = MOST_IMAGES
) -> list[Chart]:
    """A chart a stage and way of laying out, of at most `most` images, the same in all; none of too few."""
    split = answers.split
    rows = np.arange(len(split))
    if len(rows) > most:
        rows = stratified_part(answers.labels, most, recipe.data.subset_seed)
    if len(rows) < LEAST:
        return []
    part = split.take(rows)
    stages = stage_embeddings(network, shown(part, recipe))
    table = pd.DataFrame(
        {
            "file": [name_of(part, i) for i in range(len(part))],
            "class": [split.classes[i] for i in answers.labels[rows]],
            "predicted": [split.classes[i] for i in answers.predicted[rows]],
            "answer": np.where(answers.right[rows], "right", "wrong"),
        }
    )
    places = {}
    for layout in layouts():
        for number, embeddings in enumerate(stages, 1):
            plane = lay_out(embeddings, layout, recipe.run.seed)
            plane = (plane - plane.mean(axis=0)) / max(float(np.abs(plane).max()), 1e-12)
            name = f"{layout.replace('-', '').lower()}{number}"
            table[f"{name}x"], table[f"{name}y"] = plane.round(4).T
            places[f"{layout} of stage {number}"] = name, embeddings.shape[1]
    tooltip = [alt.Tooltip("file:N"), alt.Tooltip("class:N", title="true class")]
    tooltip += [alt.Tooltip("predicted:N", title="predicted class")]
    return [
        Chart(
            f"{title} ({channels} channels)", scatter_chart(table, f"{n}x", f"{n}y", split.classes, tooltip)
        )
        for title, (n, channels) in places.items()
    ]
