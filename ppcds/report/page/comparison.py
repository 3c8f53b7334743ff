"""Several runs side by side: accuracies, seeds, and whether a difference is more than luck."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ppcds.config import Recipe
from ppcds.engine.answers import Answers
from ppcds.engine.paired_tests import PairedResult, compare_paired, holm
from ppcds.engine.recipe_changes import MAY_CHANGE, changes
from ppcds.report.page.charts import Chart, line_chart
from ppcds.report.page.recipe import completed
from ppcds.report.run_record import RunRecord

# What runs of a group may differ in.
SAME_BUT_SEED = {*MAY_CHANGE, "run.seed", "data.classes"} - {"data.root"}


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two runs on the same images.  p_all: as result.p_value, adjusted for all the pairs of a report."""

    first: str
    second: str
    result: PairedResult
    p_all: float


def describe_pairs(names: Sequence[str], answers: Sequence[Answers]) -> tuple[list[Pair], list[str]]:
    """Every two runs that were asked about the same images, and sentences on those that were not."""
    results, unlike = [], []
    for i, j in itertools.combinations(range(len(names)), 2):
        if same_images(answers[i], answers[j]):
            results.append((names[i], names[j], compare_paired(answers[i].right, answers[j].right)))
        else:
            unlike.append(f"{names[i]} and {names[j]} are not of the same images: nothing can be paired.")
    adjusted = holm([result.p_value for *_, result in results])
    return [Pair(*found, p_all) for found, p_all in zip(results, adjusted)], unlike


def same_images(one: Answers, other: Answers) -> bool:
    """Whether row i of one is row i of the other: files by name, or else numbers, and their classes."""
    first, second = one.split, other.split
    if first.classes != second.classes or not np.array_equal(one.labels, other.labels):
        return False
    if hasattr(first, "filenames") and hasattr(second, "filenames"):
        return first.filenames == second.filenames
    return type(first) is type(second) and np.array_equal(first.rows, second.rows)


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone: their accuracies' mean, and std of a sample (NaN of one run).

    accuracy, std: of the weights that the report is about.  last, last_std: of the last epoch.
    """

    names: list[str]
    seeds: list[int]
    accuracy: float
    std: float
    last: float
    last_std: float


def describe_groups(runs: Sequence[RunRecord], answers: Sequence[Answers]) -> list[Group]:
    """The runs in groups, in the order in which they were given."""
    groups: list[list[int]] = []
    recipes = [completed(run.recipe) for run in runs]
    for number, recipe in enumerate(recipes):
        for group in groups:
            first = group[0]
            alike = answers[first].split.split == answers[number].split.split
            if alike and differ_in_seed_alone(recipes[first], recipe):
                group.append(number)
                break
        else:
            groups.append([number])
    return [_group([runs[i] for i in group], [answers[i] for i in group]) for group in groups]


def differ_in_seed_alone(one: Recipe, other: Recipe) -> bool:
    """Whether two complete recipes would train alike but for run.seed."""
    return set(changes(one, other)) <= SAME_BUT_SEED


def _group(runs: list[RunRecord], answers: list[Answers]) -> Group:
    now = pd.Series([float(answer.right.mean()) for answer in answers])
    last = pd.Series([run.last_accuracy for run in runs])
    names, seeds = [run.name for run in runs], [run.recipe.run.seed for run in runs]
    return Group(names, seeds, now.mean(), now.std(), last.mean(skipna=False), last.std(skipna=False))


def accuracy_chart(runs: Sequence[RunRecord]) -> list[Chart]:
    """A line a run: validation accuracy over views seen, or over epochs where a run did not count them."""
    counted = all("images_seen" in run.metrics for run in runs)
    x, title = ("images_seen", "training images seen (views)") if counted else ("epoch", "epoch")
    tables = [
        run.metrics[[x, "eval_accuracy"]].rename(columns={"eval_accuracy": "value"}).assign(series=run.name)
        for run in runs
        if "eval_accuracy" in run.metrics and run.metrics["eval_accuracy"].notna().any()
    ]
    if not tables:
        return []
    names = [table["series"].iloc[0] for table in tables]
    spec = line_chart(pd.concat(tables), x, title, "validation accuracy (share of images)", names)
    caption = "" if counted else "By epochs: not every run has counted its images, so costs may differ."
    return [Chart("Validation accuracy of the runs", spec, caption, wide=True)]
