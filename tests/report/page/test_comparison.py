"""Which runs are paired, which are a group of seeds, and what is said of them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ppcds.config import load_recipe
from ppcds.report.page.comparison import accuracy_chart, describe_groups, describe_pairs

RIGHT, WRONG = [0.9, 0.1], [0.1, 0.9]


def record(name, accuracy, *overrides, columns=("epoch", "images_seen", "eval_accuracy")):
    metrics = pd.DataFrame({"epoch": [1, 2], "images_seen": [10, 20], "eval_accuracy": [0.1, accuracy]})
    recipe = load_recipe("demo", [f"run.output_dir=output/{name}", *overrides])
    return SimpleNamespace(name=name, recipe=recipe, metrics=metrics[list(columns)], last_accuracy=accuracy)


def test_every_two_runs_are_paired_by_image(make_answers):
    zeros = [0] * 8
    first = make_answers([RIGHT] * 7 + [WRONG], zeros)
    second = make_answers([WRONG] * 6 + [RIGHT] * 2, zeros)
    third = make_answers([RIGHT] * 8, zeros)
    pairs, unlike = describe_pairs(["x", "y", "z"], [first, second, third])
    assert not unlike and [(pair.first, pair.second) for pair in pairs] == [
        ("x", "y"),
        ("x", "z"),
        ("y", "z"),
    ]
    result = pairs[0].result
    assert (result.only_first, result.only_second) == (6, 1)
    assert result.p_value == pytest.approx(2 * (1 + 7) / 2**7)
    assert pairs[2].p_all == pytest.approx(3 * pairs[2].result.p_value)  # the smallest of three


@pytest.mark.parametrize(
    "other", [{"files": ["0.jpg", "2.jpg"]}, {"labels": [0, 1]}, {"classes": ("a", "c")}]
)
def test_answers_to_other_images_are_not_paired(make_answers, other):
    given = {"probabilities": [RIGHT, RIGHT], "labels": [0, 0]}
    pairs, unlike = describe_pairs(["x", "y"], [make_answers(**given), make_answers(**{**given, **other})])
    assert not pairs and unlike == ["x and y are not of the same images: nothing can be paired."]


def test_runs_that_differ_in_the_seed_alone_are_a_group(make_answers):
    runs = [
        record("a0", 0.5, "run.seed=0"),
        record("b0", 0.9, "run.seed=0", "optim.learning_rate=0.2"),
        record("a1", 0.7, "run.seed=1", "run.log_steps=7"),
    ]
    answers = [make_answers([RIGHT] * n + [WRONG] * (4 - n), [0] * 4) for n in (2, 4, 3)]
    group, alone = describe_groups(runs, answers)
    assert (group.names, group.seeds) == (["a0", "a1"], [0, 1])
    assert group.accuracy == pytest.approx(0.625) and group.std == pytest.approx(np.std([0.5, 0.75], ddof=1))
    assert group.last == pytest.approx(0.6) and group.last_std == pytest.approx(0.1 * 2**0.5)
    assert alone.names == ["b0"] and np.isnan(alone.std)


def test_runs_on_other_data_are_no_group(make_answers):
    runs = [record("a", 0.5), record("b", 0.5, "run.seed=1", "data.root=elsewhere")]
    answers = [make_answers([RIGHT], [0])] * 2
    assert len(describe_groups(runs, answers)) == 2


def test_runs_are_drawn_over_images_seen_where_all_have_counted_them():
    counted, not_counted = record("a", 0.5), record("b", 0.6, columns=("epoch", "eval_accuracy"))
    (chart,) = accuracy_chart([counted, counted])
    assert "training images seen (views)" in str(chart.spec)
    (chart,) = accuracy_chart([counted, not_counted])
    assert "'title': 'epoch'" in str(chart.spec) and "costs may differ" in chart.caption
    assert accuracy_chart([record("c", 0.5, columns=("epoch",))]) == []
