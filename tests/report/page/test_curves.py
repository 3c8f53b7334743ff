"""Curves of what a run has measured."""

from types import SimpleNamespace

import pandas as pd
import pytest

from ppcds.report.page.curves import MOST_POINTS, curve_charts


def run(metrics, scalars=None):
    tables = {
        tag: pd.DataFrame({"step": range(len(values)), "value": values})
        for tag, values in (scalars or {}).items()
    }
    recipe = SimpleNamespace(run=SimpleNamespace(log_steps=20))
    return SimpleNamespace(
        metrics=pd.DataFrame({"epoch": [1, 2, 3], **metrics}), scalars=tables, recipe=recipe
    )


def lines(chart):
    """{name of a line: its values}."""
    found = {}
    for rows in chart.spec["datasets"].values():
        for row in rows:
            found.setdefault(row["series"], []).append(row["value"])
    return found


METRICS = {
    "learning_rate": [0.1, 0.1, 0.01],
    "train_loss": [3.0, 2.5, 2.0],
    "train_cross_entropy": [2.0, 1.6, 1.2],
    "train_contrastive_stage4": [1.0, 0.9, 0.8],
    "train_accuracy": [0.3, 0.4, 0.5],
    "eval_accuracy": [0.2, None, 0.4],
    "eval_loss": [2.2, None, 1.8],
    "noted_embedding_effective_rank": [5.0, 6.0, 7.0],
    "noted_nt_xent_chance": [5.5, 5.5, 5.5],
    "noted_share_with_classmate": [1.0, 1.0, 1.0],
}


def test_every_part_of_the_loss_and_every_accuracy_has_its_line():
    charts = {chart.title: chart for chart in curve_charts(run(METRICS))}
    losses = lines(charts["Loss and its parts"])
    assert losses == {
        "train loss": [3.0, 2.5, 2.0],
        "cross entropy": [2.0, 1.6, 1.2],
        "contrastive stage4": [1.0, 0.9, 0.8],
        "eval loss": [2.2, 1.8],  # of the epochs that were evaluated
    }
    assert lines(charts["Accuracy"]) == {"train accuracy": [0.3, 0.4, 0.5], "eval accuracy": [0.2, 0.4]}
    assert lines(charts["Learning rate"]) == {"learning rate": [0.1, 0.1, 0.01]}
    assert {"Levels of the contrastive loss", "Shares noted", "Embedding effective rank"} < set(charts)


def test_a_loss_of_one_part_is_drawn_once():
    metrics = {"train_loss": [3.0, 2.0, 1.0], "train_nt_xent": [3.0, 2.0, 1.0]}
    (chart,) = curve_charts(run(metrics))
    assert lines(chart) == {"nt xent": [3.0, 2.0, 1.0]} and "the nt xent is all of the loss" in chart.caption


def test_steps_are_drawn_where_visualdl_has_recorded_them():
    scalars = {
        "train/images_per_second": [50.0, 60.0],
        "train/learning_rate": [0.1] * 5,
        "train/loss": [2.0] * 5,
    }
    charts = {chart.title: chart for chart in curve_charts(run(METRICS, scalars))}
    assert lines(charts["Speed"]) == {"images per second": [50.0, 60.0]}
    assert len(lines(charts["Learning rate"])["learning rate"]) == 5
    assert "Loss within epochs" in charts and "every 20 steps" in charts["Speed"].caption


def test_small_parts_of_the_loss_have_a_chart_of_their_own_scale():
    stages = {f"train_contrastive_stage{i}": [0.5, 0.5, 0.4] for i in (3, 4)}
    charts = {chart.title: chart for chart in curve_charts(run({**METRICS, **stages}))}
    apart = lines(charts["The parts beside cross entropy"])
    assert set(apart) == {"contrastive stage3", "contrastive stage4"}
    assert "The parts beside cross entropy" not in {chart.title for chart in curve_charts(run(METRICS))}


def test_records_that_begin_late_are_told_of_and_leave_the_rate_to_the_epochs():
    late = run(METRICS, {"train/images_per_second": [50.0, 60.0], "train/learning_rate": [0.1, 0.1]})
    for table in late.scalars.values():
        table["step"] += 1950
    charts = {chart.title: chart for chart in curve_charts(late)}
    assert "Those before step 1,950 are missing" in charts["Speed"].caption
    assert lines(charts["Learning rate"]) == {"learning rate": [0.1, 0.1, 0.01]}


def test_a_single_line_is_named_where_the_title_does_not_tell_it():
    charts = {chart.title: chart for chart in curve_charts(run(METRICS))}
    assert charts["Shares noted"].caption.startswith("The line: share with classmate.")
    assert charts["Learning rate"].caption == ""


def test_long_lines_are_thinned_and_keep_their_ends():
    values = [float(i) for i in range(50_001)]
    (*_, chart) = curve_charts(run({}, {"train/images_per_second": values}))
    (found,) = lines(chart).values()
    assert len(found) == MOST_POINTS and (found[0], found[-1]) == (0, 50_000)
    steps = [b - a for a, b in zip(found, found[1:])]
    assert max(steps) - min(steps) <= 1 and f"{MOST_POINTS} of 50,001" in chart.caption


@pytest.mark.parametrize("title", ["Loss and its parts", "Accuracy", "Learning rate", "Shares noted"])
def test_axes_have_units(title):
    (chart,) = [chart for chart in curve_charts(run(METRICS)) if chart.title == title]
    unit = {"Loss and its parts": "nats", "Accuracy": "share of images", "Shares noted": "from 0 to 1"}
    assert unit.get(title, "no unit") in str(chart.spec) and "'title': 'epoch'" in str(chart.spec)
