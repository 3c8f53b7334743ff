"""Metrics against counts made by hand, and the files they are written to."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest

from ppcds.engine.metrics import measure_classification
from ppcds.errors import UserError
from ppcds.report import draw_confusion, write_evaluation

CLASSES = ("cat", "dog", "eel")
# true cat: cat, cat, dog; true dog: dog, cat; eel is never true, and predicted once, for a dog
LABELS = np.array([0, 0, 0, 1, 1, 1])
PREDICTED = np.array([0, 0, 1, 1, 0, 2])


def logits_for(predicted, count):
    return np.eye(count, dtype=np.float32)[predicted]


@pytest.fixture
def metrics():
    return measure_classification(logits_for(PREDICTED, 3), LABELS, CLASSES)


def test_precision_recall_and_f1_are_those_counted_by_hand(metrics):
    rows = metrics.per_class
    assert list(rows.index) == list(CLASSES)
    np.testing.assert_allclose(rows["precision"], [2 / 3, 1 / 2, 0])
    np.testing.assert_allclose(rows["recall"], [2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(rows["f1"], [2 / 3, 2 / 5, 0])
    assert rows["support"].tolist() == [3, 3, 0]
    assert metrics.accuracies == {"top1_accuracy": 0.5}


def test_means_leave_out_a_class_without_images(metrics):
    means = metrics.class_means()
    assert means["recall"] == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert means["precision"] == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_confusion_has_a_row_a_true_class_and_a_column_a_predicted_one(metrics):
    assert metrics.confusion.to_numpy().tolist() == [[2, 1, 0], [1, 1, 1], [0, 0, 0]]
    assert metrics.confusion.loc["dog", "eel"] == 1


def test_unlabelled_rows_do_not_count(metrics):
    labels, predicted = np.append(LABELS, [-1, -1]), np.append(PREDICTED, [0, 2])
    with_more = measure_classification(logits_for(predicted, 3), labels, CLASSES)
    assert with_more.images == 6
    pd.testing.assert_frame_equal(with_more.per_class, metrics.per_class)
    with pytest.raises(UserError, match="none of the images has a class"):
        measure_classification(logits_for([0, 1], 3), np.array([-1, -1]), CLASSES)


def test_top5_counts_a_label_among_the_five_largest_logits():
    logits = np.tile(np.arange(7, 0, -1, dtype=np.float32), (7, 1))  # ranked 0, 1, ... 6 in every row
    found = measure_classification(logits, np.arange(7), [f"class {i}" for i in range(7)])
    assert found.accuracies == {"top1_accuracy": 1 / 7, "top5_accuracy": 5 / 7}


def test_equal_logits_do_not_make_every_label_right():
    found = measure_classification(np.zeros((7, 7)), np.arange(7), [f"class {i}" for i in range(7)])
    assert found.accuracies == {"top1_accuracy": 1 / 7, "top5_accuracy": 5 / 7}


def test_printed_table_has_classes_means_and_accuracy(metrics):
    lines = str(metrics).splitlines()
    assert lines[0].split() == ["precision", "recall", "f1", "support"]
    assert lines[2].split() == ["dog", "0.5000", "0.3333", "0.4000", "3"]
    assert lines[4].startswith("mean, total") and lines[4].split()[-1] == "6"
    assert lines[5] == "top1 accuracy 0.5000 on 6 images"


def test_picture_shows_every_count_and_name(metrics):
    figure = draw_confusion(metrics.confusion, "val")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["2", "1", "0", "1", "1", "1", "0", "0", "0"]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(CLASSES)
    np.testing.assert_allclose(axes.images[0].get_array()[0], [2 / 3, 1 / 3, 0])  # shares of the row


def test_written_files_hold_the_same_numbers(metrics, tmp_path):
    folder = tmp_path / "new" / "eval"
    write_evaluation(folder, metrics, {"split": "val"})
    assert sorted(path.name for path in folder.iterdir()) == [
        "confusion.csv",
        "confusion.png",
        "metrics.json",
    ]
    saved = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert saved["split"] == "val" and saved["top1_accuracy"] == 0.5 and saved["images"] == 6
    assert saved["classes"]["cat"] == {"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3}
    table = pd.read_csv(folder / "confusion.csv", index_col="true class")
    pd.testing.assert_frame_equal(table, metrics.confusion)
    picture = cv2.imread(str(folder / "confusion.png"))
    assert min(picture.shape[:2]) > 300 and picture.std() > 20


def test_a_folder_that_cannot_be_made_is_told_in_one_line(metrics, tmp_path):
    (tmp_path / "file").write_text("taken")
    with pytest.raises(UserError, match="cannot write to .*file"):
        write_evaluation(tmp_path / "file", metrics, {"split": "val"})
    assert (tmp_path / "file").read_text() == "taken"
