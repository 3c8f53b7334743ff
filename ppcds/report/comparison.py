"""Finished runs side by side: a table as Markdown and CSV, and their curves as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

import numpy as np
import pandas as pd

from ppcds.errors import UserError
from ppcds.report.accuracy_curves import draw_accuracy_curves
from ppcds.report.run_result import RunResult
from ppcds.report.table_files import as_markdown, write_table

Results = Mapping[str, Mapping[int, Optional[RunResult]]]  # label -> seed -> result, None: not finished


def write_comparison(folder: Path, results: Results, remarks: Sequence[str] = ()) -> str:
    """comparison.md, .csv and .png in `folder`, each whole or as before; returns the Markdown.

    remarks: sentences to be put under the table.
    Raises UserError if no run is finished, or the folder cannot be written to.
    """
    if not any(result for runs in results.values() for result in runs.values()):
        said = f"{folder}: no run is finished yet, so there is nothing to compare"
        raise UserError(". ".join([said, *remarks]))
    text = comparison_text(results, remarks)
    write_table(folder, "comparison", text, comparison_table(results), draw_accuracy_curves(results))
    return text


def comparison_text(results: Results, remarks: Sequence[str] = ()) -> str:
    """The table as Markdown, and under it the remarks and what makes its rows hard to compare."""
    table = as_markdown(format_table(comparison_table(results)))
    return "\n".join([table, *(f"\n{remark}" for remark in [*remarks, *unlike(results)])])


def comparison_table(results: Results) -> pd.DataFrame:
    """A row a label: accuracy, its std, that of each seed, images seen, mean seconds of a run, parameters.

    The standard deviation is that of a sample; what was not run, or not timed, is missing.
    """
    rows = []
    for label, runs in results.items():
        finished = [result for result in runs.values() if result]
        accuracies = pd.Series([result.accuracy for result in finished], dtype=float)
        seconds = pd.Series([result.seconds for result in finished], dtype=float)
        row = {"run": label, "accuracy": accuracies.mean(), "std": accuracies.std()}
        row.update({f"seed {seed}": result.accuracy if result else np.nan for seed, result in runs.items()})
        row["images_seen"] = max((result.images_seen for result in finished), default=pd.NA)
        row["seconds"] = seconds.mean(skipna=False)
        row["parameters"] = max((result.parameters for result in finished), default=pd.NA)
        rows.append(row)
    return pd.DataFrame(rows).astype({"images_seen": "Int64", "parameters": "Int64"})


def format_table(table: pd.DataFrame) -> pd.DataFrame:
    """A comparison_table in the words in which it is shown."""
    shown = []
    for row in table.to_dict(orient="records"):
        mean, std, seconds = row["accuracy"], row["std"], row["seconds"]
        ran = not pd.isna(row["images_seen"])
        cells = {"run": row["run"], "accuracy": f"{mean:.4f}" if pd.isna(std) else f"{mean:.3f} ± {std:.3f}"}
        absent = "not measured" if ran and pd.isna(mean) else "not run"
        cells.update({name: f"{row[name]:.4f}" for name in table if name.startswith("seed ")})
        cells["images seen"] = f"{row['images_seen']:,}" if ran else ""
        cells["time (h:mm)"] = hours_and_minutes(seconds) if ran else ""
        cells["parameters (M)"] = f"{row['parameters'] / 1e6:.3f}" if ran else ""
        shown.append({name: absent if cell == "nan" else cell for name, cell in cells.items()})
    return pd.DataFrame(shown)


def hours_and_minutes(seconds: float) -> str:
    """h:mm, to the nearest minute."""
    if pd.isna(seconds):
        return "not timed"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}:{minutes:02d}"


def unlike(results: Results) -> list[str]:
    """Sentences about what makes the rows hard to compare, if anything does."""
    finished = {label: [run for run in runs.values() if run] for label, runs in results.items()}
    remarks = []
    if len({run.images_seen for runs in finished.values() for run in runs}) > 1:
        remarks.append("Images seen differ: the accuracies are not at equal cost.")
    for what, linked, said in (
        ("evaluated_on", "on", "are not of the same images"),
        ("measured_by", "by", "are not measured alike"),
    ):
        found = {label: sorted({getattr(run, what) for run in runs}) for label, runs in finished.items()}
        if len({value for values in found.values() for value in values}) > 1:
            each = "; ".join(
                f"{label} {linked} {' and '.join(found[label])}" for label in found if found[label]
            )
            remarks.append(f"The accuracies {said} ({each}).")
    return remarks
