"""Charts of a page: Altair's, in colours that are read on light and on dark ground."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Optional

import altair as alt
import pandas as pd

HEIGHT = 240  # px
# As dark as to be told from white, as light as to be told from black, and from each other.
COLOURS = ["#3b82c4", "#d9762b", "#2f9e6e", "#c0589c", "#a98600", "#7a6bd1", "#cf4b4b", "#3aa0b5", "#87909a"]
COLOURS += ["#7f9a2e"]
# Vega writes a colour into the SVG as it is given, so the page's style decides it: no chart is made anew when
# the page turns dark, or is printed.
INK, FAINT, GRID = "var(--ink)", "var(--faint)", "var(--line)"


@dataclasses.dataclass(frozen=True)
class Chart:
    """A drawing with its words.  spec: Vega-Lite, as wide as the page has room.  wide: a row of its own."""

    title: str
    spec: dict
    caption: str = ""
    wide: bool = False


def as_spec(chart: alt.Chart | alt.LayerChart, height: int = HEIGHT) -> dict:
    """The Vega-Lite specification of a single or layered chart, in the style of the page."""
    text = {"labelColor": INK, "titleColor": INK, "labelFontSize": 11, "titleFontSize": 12}
    text.update(titleFontWeight="normal", labelLimit=180)
    legend = {**text, "orient": "top", "title": None, "symbolStrokeWidth": 2.5, "columnPadding": 14}
    styled = (
        chart.properties(width="container", height=height)
        .configure(background="transparent", font="system-ui, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(**text, gridColor=GRID, domainColor=FAINT, tickColor=FAINT, titlePadding=8)
        .configure_legend(**legend)
        .configure_range(category=COLOURS)
    )
    return styled.to_dict()


def line_chart(
    table: pd.DataFrame,
    x: str,
    x_title: str,
    y_title: str,
    series: Optional[Sequence[str]] = None,
    form: str = ".4f",
) -> dict:
    """A line for each series, with its points to be read.

    table: long, columns `x`, "series" and "value"; what is NaN is a gap.  series: their order, if there are
    several.  form: d3's, of a value that is pointed at.
    """
    table = table[[x, "series", "value"]].dropna()
    names = list(series or table["series"].unique())
    colour = alt.Color("series:N", sort=names, scale=alt.Scale(domain=names)) if len(names) > 1 else None
    encoding = {
        "x": alt.X(
            f"{x}:Q", title=x_title, axis=alt.Axis(tickMinStep=1), scale=alt.Scale(zero=False, nice=False)
        ),
        "y": alt.Y("value:Q", title=y_title, scale=alt.Scale(zero=False)),
        "tooltip": [
            alt.Tooltip("series:N", title="line"),
            alt.Tooltip(f"{x}:Q", title=x_title),
            alt.Tooltip("value:Q", title=y_title, format=form),
        ],
    }
    if colour is not None:
        encoding["color"] = colour
    base = alt.Chart(table).encode(**encoding)
    single = {} if colour is not None else {"color": COLOURS[0]}
    lines = base.mark_line(strokeWidth=2, **single)
    # wide and invisible until they are pointed at, by a finger too
    points = base.mark_point(filled=True, size=28, opacity=0.75, **single)
    if len(names) == 1:
        return as_spec(alt.layer(lines, points))
    chosen = alt.selection_point(fields=["series"], bind="legend")
    faded = alt.condition(chosen, alt.value(0.95), alt.value(0.12))
    return as_spec(alt.layer(lines.encode(opacity=faded), points.encode(opacity=faded).add_params(chosen)))


def scatter_chart(table: pd.DataFrame, x: str, y: str, classes: Sequence[str], tooltip: list) -> dict:
    """Points of classes, columns "class" and "answer" ("right" or "wrong"), without axes: places, no amounts.

    tooltip: altair.Tooltip of the columns to be read.  With more classes than colours there is no legend.
    """
    chosen = alt.selection_point(fields=["class"], bind="legend")
    few = len(classes) <= 2 * len(COLOURS)
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(classes))]
    place = {"axis": None, "scale": alt.Scale(zero=False, nice=False, padding=8)}
    points = (
        alt.Chart(table)
        .mark_point(filled=True)
        .encode(
            x=alt.X(f"{x}:Q", **place),
            y=alt.Y(f"{y}:Q", **place),
            color=alt.Color(
                "class:N",
                scale=alt.Scale(domain=list(classes), range=colours),
                legend=alt.Legend(symbolOpacity=1) if few else None,
            ),
            shape=alt.Shape(
                "answer:N",
                scale=alt.Scale(domain=["right", "wrong"], range=["circle", "cross"]),
                legend=None,
            ),
            size=alt.condition("datum.answer == 'wrong'", alt.value(45), alt.value(22)),
            opacity=alt.condition(chosen, alt.value(0.8), alt.value(0.05)) if few else alt.value(0.7),
            tooltip=tooltip,
        )
    )
    return as_spec(points.add_params(chosen) if few else points, height=320)
