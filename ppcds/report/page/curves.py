"""A run's curves: losses, accuracies, learning rate, speed, and what else its method notes."""

from __future__ import annotations

import pandas as pd

from ppcds.report.page.charts import Chart, line_chart
from ppcds.report.run_record import RunRecord

MOST_POINTS = 600  # of a line: more are not seen, and make the file large
SHARES = ("accuracy", "share")  # names with these are shares, from 0 to 1
WITHOUT_UNIT = "no unit"
RATE = f"learning rate ({WITHOUT_UNIT})"


def curve_charts(run: RunRecord) -> list[Chart]:
    """By epoch from metrics.csv, and by step from VisualDL where there are records."""
    metrics = run.metrics
    losses = parts_of([name for name in metrics if name.startswith("train_") and name != "train_accuracy"])
    accuracies = [name for name in metrics if "accuracy" in name and not name.startswith("noted_")]
    charts = []
    weighted = "Means of an epoch, weighted as they are summed: the parts add up to train loss."
    if len(losses) == 1:
        weighted = f"Means of an epoch; the {plain(losses[0])} is all of the loss."
    if "eval_loss" in metrics:
        weighted += " Eval loss is the cross entropy on the validation images, whatever is trained with."
    charts += _by_epoch(metrics, "Loss and its parts", [*losses, "eval_loss"], "loss (nats)", weighted)
    others = [name for name in losses if name not in ("train_loss", "train_cross_entropy")]
    if 1 < len(others) < len(losses):  # several small ones, whose lines the large ones press together
        charts += _by_epoch(metrics, "The parts beside cross entropy", others, "loss (nats)")
    measured = "Share of the validation images whose class is found"
    measured += ", and of as many training images." if "train_accuracy" in metrics else "."
    charts += _by_epoch(metrics, "Accuracy", accuracies, "accuracy (share of images)", measured)
    if "train/learning_rate" not in run.scalars or first_step(run) > run.recipe.run.log_steps:
        charts += _by_epoch(metrics, "Learning rate", ["learning_rate"], RATE, form=".3~g")
    for title, tags, unit, form in _by_step_titles(run):
        charts += _by_step(run, title, tags, unit, form)
    charts += _noted(metrics)
    return charts


def _by_step_titles(run: RunRecord) -> list[tuple[str, list[str], str, str]]:
    told = [tag for tag in run.scalars if tag.startswith("train/")]
    apart = ("train/learning_rate", "train/images_per_second", "train/accuracy")
    losses = parts_of([tag for tag in told if tag not in apart])
    shown = [
        ("Loss within epochs", losses, "loss of a batch (nats)", ".4f"),
        ("Speed", ["train/images_per_second"], "images per second", ".1f"),
    ]
    if first_step(run) > run.recipe.run.log_steps:  # of the rate metrics.csv has all
        return shown
    return [("Learning rate", ["train/learning_rate"], RATE, ".3~g"), *shown]


def first_step(run: RunRecord) -> int:
    """The first step that VisualDL has a record of, 0 if of none."""
    steps = [table["step"].iloc[0] for tag, table in run.scalars.items() if tag.startswith("train/")]
    return int(min(steps, default=0))


def _by_epoch(
    metrics: pd.DataFrame, title: str, names: list[str], unit: str, caption: str = "", form: str = ".4f"
) -> list[Chart]:
    names = [name for name in names if name in metrics and metrics[name].notna().any()]
    if not names:
        return []
    table = metrics.melt("epoch", names, "series", "value")
    table["series"] = table["series"].map(plain)
    spec = line_chart(_thinned(table), "epoch", "epoch", unit, [plain(name) for name in names], form)
    return [Chart(title, spec, _named(names, f"{title} {unit}", caption))]


def _by_step(run: RunRecord, title: str, tags: list[str], unit: str, form: str) -> list[Chart]:
    tables = [run.scalars[tag].assign(series=plain(tag)) for tag in tags if tag in run.scalars]
    if not tables:
        return []
    caption = f"VisualDL's records, every {run.recipe.run.log_steps} steps."
    if first_step(run) > run.recipe.run.log_steps:
        caption += f" Those before step {first_step(run):,} are missing."
    longest = max(map(len, tables))
    if longest > MOST_POINTS:
        caption += f" {MOST_POINTS} of {longest:,} points are drawn, equally far apart."
    table = _thinned(pd.concat(tables))
    spec = line_chart(table, "step", "step", unit, [plain(tag) for tag in tags], form)
    return [Chart(title, spec, _named(tags, f"{title} {unit}", caption))]


def _named(names: list[str], told: str, caption: str) -> str:
    """The caption, with the name of a single line if title and unit, `told`, do not tell it."""
    if len(names) > 1 or plain(names[0]) in told.lower():
        return caption
    return f"The line: {plain(names[0])}. {caption}"


def _noted(metrics: pd.DataFrame) -> list[Chart]:
    """What methods note beside the losses: levels of a loss, shares, and numbers of their own."""
    noted = [name for name in metrics if name.startswith("noted_")]
    levels = [name for name in noted if name.endswith(("_chance", "_lowest"))]
    shares = [name for name in noted if name not in levels and any(word in name for word in SHARES)]
    charts = _by_epoch(
        metrics, "Levels of the contrastive loss", levels, "loss (nats)",
        "Chance: of embeddings that all are alike. Lowest: what the loss cannot go below.",
    )  # fmt: skip
    charts += _by_epoch(
        metrics, "Shares noted", shares, "share, from 0 to 1", "Of the embeddings of a batch."
    )
    for name in noted:
        if name not in levels and name not in shares:
            unit = "directions" if name.endswith("effective_rank") else WITHOUT_UNIT
            charts += _by_epoch(metrics, plain(name).capitalize(), [name], f"{plain(name)} ({unit})")
    return charts


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    """At most MOST_POINTS rows of each series, the first and the last among them."""
    parts = []
    for _, part in table.groupby("series", sort=False):
        part = part.dropna()
        if len(part) > MOST_POINTS:
            places = [round(i * (len(part) - 1) / (MOST_POINTS - 1)) for i in range(MOST_POINTS)]
            part = part.iloc[places]
        parts.append(part)
    return pd.concat(parts)


def parts_of(losses: list[str]) -> list[str]:
    """Without the sum if it has one part alone: their lines would hide each other."""
    parts = [name for name in losses if name not in ("train_loss", "train/loss")]
    return parts if len(parts) == 1 else losses


def plain(name: str) -> str:
    """The words of a column or tag: "train_contrastive_stage4" -> "contrastive stage4"."""
    for start in ("train_", "train/", "noted_", "noted/"):
        shorter = name.removeprefix(start)
        if shorter != name and shorter not in ("loss", "accuracy"):
            return shorter.replace("_", " ")
    return name.replace("_", " ").replace("/", " ")
