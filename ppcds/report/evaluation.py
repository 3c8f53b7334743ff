"""The files in which an evaluation is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ppcds.engine.metrics import ClassificationMetrics
from ppcds.errors import UserError
from ppcds.files import written_whole
from ppcds.report.confusion import draw_confusion


def write_evaluation(
    folder: Path,
    metrics: ClassificationMetrics,
    about: Mapping[str, str],
    by_group: pd.DataFrame | None = None,
) -> None:
    """metrics.json, confusion.csv and confusion.png in `folder`, which is made; each is whole or as before.

    by_group: written as groups.csv, see group_accuracy.
    about: what was measured ("weights", "data", "split"), put before the numbers in metrics.json.
    Raises UserError if the folder cannot be written to.
    """
    title = f"{about['split']}: accuracy {metrics.accuracies['top1_accuracy']:.4f}, {metrics.images} images"
    text = json.dumps({**about, **metrics.as_dict()}, indent=2, ensure_ascii=False)
    try:
        with written_whole(folder / "metrics.json") as path:
            path.write_text(text + "\n", encoding="utf-8")
        with written_whole(folder / "confusion.csv") as path:
            metrics.confusion.to_csv(path, encoding="utf-8")
        with written_whole(folder / "confusion.png") as path:
            draw_confusion(metrics.confusion, title).savefig(path, format="png", bbox_inches="tight")
        if by_group is not None:
            with written_whole(folder / "groups.csv") as path:
                by_group.to_csv(path, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
