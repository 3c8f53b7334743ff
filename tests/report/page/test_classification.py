"""Numbers of the classes, and their charts."""

import numpy as np
import pandas as pd
import pytest

from ppcds.engine.metrics import measure_classification
from ppcds.report.page import classification as module
from ppcds.report.page.classification import confusion_chart, describe_classification, most_confused


def rows_of(spec):
    return [row for rows in spec["datasets"].values() for row in rows]


def test_numbers_are_those_of_the_answers(make_answers):
    # 6 images, 4 right; class a: 3 of 4 found, b: 1 of 2
    sure = [0.9, 0.8, 0.7, 0.4, 0.2, 0.6]
    found = describe_classification(make_answers([[p, 1 - p] for p in sure], [0, 0, 0, 0, 1, 1]))
    assert found["metrics"].accuracies["top1_accuracy"] == pytest.approx(4 / 6)
    assert [row["recall"] for row in found["per_class"]] == pytest.approx([3 / 4, 1 / 2])
    assert [row["precision"] for row in found["per_class"]] == pytest.approx([3 / 4, 1 / 2])
    # each confidence in a bin of its own, but 0.6 of image 3 (wrong) and of image 5 (wrong)
    gaps = 0.1 + 0.2 + 0.3 + 2 * 0.6 + 0.2
    assert found["ece"] == pytest.approx((gaps - 0.2 - 0.2 + abs(0.8 + 0.8 - 2)) / 6)
    assert found["confidence"] == pytest.approx(np.mean([0.9, 0.8, 0.7, 0.6, 0.8, 0.6]))


def test_the_matrix_shows_the_counts_and_their_share_of_the_row(make_answers):
    found = describe_classification(make_answers([[0.9, 0.1]] * 3 + [[0.2, 0.8]], [0, 1, 1, 1]))
    cells = {(row["true"], row["predicted"]): row for row in rows_of(found["matrix"].spec)}
    assert cells["b", "a"]["images"] == 2 and cells["b", "a"]["share"] == pytest.approx(2 / 3)
    assert ("a", "b") not in cells
    assert found["confused"] == [{"true": "b", "predicted": "a", "images": 2, "share": pytest.approx(2 / 3)}]


def test_pairs_are_sorted_by_errors_and_the_diagonal_is_none():
    confusion = pd.DataFrame([[9, 1, 0], [5, 9, 0], [0, 2, 0]], columns=list("abc"), index=list("abc"))
    pairs = [(pair["true"], pair["predicted"], pair["images"]) for pair in most_confused(confusion, 2)]
    assert pairs == [("b", "a", 5), ("c", "b", 2)]


def test_of_very_many_classes_those_with_errors_are_drawn(monkeypatch):
    monkeypatch.setattr(module, "MOST_CLASSES", 2)
    logits = np.eye(4)[[0, 1, 3, 2, 3]]
    chart = confusion_chart(measure_classification(logits, np.array([0, 1, 2, 2, 3]), list("abcd")))
    assert {row["true"] for row in rows_of(chart.spec)} == {
        "c",
        "d",
    } and "Of 4 classes, the 2" in chart.caption
    assert {row["share"] for row in rows_of(chart.spec) if row["true"] == "c"} == {0.5}


def test_every_chart_names_its_units(make_answers):
    found = describe_classification(make_answers([[0.9, 0.1], [0.2, 0.8]], [0, 1]))
    reliability, confidences = (str(chart.spec) for chart in found["calibration"])
    assert "accuracy (share of images)" in reliability and "'title': 'images'" in confidences
    assert "predicted class" in str(found["matrix"].spec)
