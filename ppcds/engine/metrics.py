"""How well logits fit labels: accuracies, precision, recall and F1 of each class, confusion matrix."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from ppcds.errors import UserError


@dataclasses.dataclass(frozen=True)
class ClassificationMetrics:
    """accuracies: "top1_accuracy" and, with more than five classes, "top5_accuracy".

    per_class: a row a class with precision, recall, f1 (0 where undefined) and support, its images.
    confusion: counts, a row a true class, a column a predicted one.
    """

    accuracies: dict[str, float]
    per_class: pd.DataFrame
    confusion: pd.DataFrame

    @property
    def images(self) -> int:
        return int(self.per_class["support"].sum())

    def class_means(self) -> dict[str, float]:
        """Precision, recall and F1 as plain means over the classes that have images."""
        present = self.per_class[self.per_class["support"] > 0]
        return {name: float(present[name].mean()) for name in ("precision", "recall", "f1")}

    def as_dict(self) -> dict:
        """Everything but the confusion matrix, as numbers and names for JSON."""
        return {
            "images": self.images,
            **self.accuracies,
            "class_means": self.class_means(),
            "classes": self.per_class.to_dict(orient="index"),
        }

    def __str__(self) -> str:
        means = pd.DataFrame({**self.class_means(), "support": self.images}, index=["mean, total"])
        rows = pd.concat([self.per_class, means]).to_string(float_format="{:.4f}".format)
        accuracies = ", ".join(f"{name.replace('_', ' ')} {v:.4f}" for name, v in self.accuracies.items())
        return f"{rows}\n{accuracies} on {self.images} images"


def group_accuracy(logits: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> pd.DataFrame:
    """Images and top-1 accuracy of each group [N]; rows of label -1 do not count. The worst group first."""
    labelled = labels >= 0
    right = logits[labelled].argmax(axis=1) == labels[labelled]
    by_group = pd.Series(right).groupby(groups[labelled].astype(str))
    table = pd.DataFrame({"images": by_group.size(), "accuracy": by_group.mean()}).rename_axis("group")
    return table.sort_values(["accuracy", "images"], ascending=[True, False], kind="stable")


def measure_classification(
    logits: np.ndarray, labels: np.ndarray, classes: tuple[str, ...] | list[str]
) -> ClassificationMetrics:
    """The metrics of logits [N, C] against labels [N]; rows of label -1 do not count.

    Raises UserError if no row is labelled.
    """
    labelled = labels >= 0
    if not labelled.any():
        raise UserError("none of the images has a class, so there is nothing to measure")
    logits, labels = logits[labelled], labels[labelled]
    ranked = np.argsort(-logits, axis=1, kind="stable")  # of equal logits the first counts, as for argmax
    accuracies = {"top1_accuracy": float((ranked[:, 0] == labels).mean())}
    if len(classes) > 5:  # of five classes or fewer, top-5 is always 1
        accuracies["top5_accuracy"] = float((ranked[:, :5] == labels[:, None]).any(axis=1).mean())
    ids = np.arange(len(classes))
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, ranked[:, 0], labels=ids, zero_division=0
    )
    columns = {"precision": precision, "recall": recall, "f1": f1, "support": support.astype(np.int64)}
    return ClassificationMetrics(
        accuracies,
        pd.DataFrame(columns, index=list(classes)),
        pd.DataFrame(
            confusion_matrix(labels, ranked[:, 0], labels=ids),
            index=pd.Index(classes, name="true class"),
            columns=list(classes),
        ),
    )
