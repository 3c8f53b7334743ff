"""What the folder of a run tells without its network: recipe, log, metrics and VisualDL's scalars."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ppcds.config import Recipe, load_recipe
from ppcds.errors import UserError

WEIGHTS = {"best": "best_model.pdparams", "last": "last_model.pdparams"}
PROGRESS = re.compile(r"\S+ \S+ epoch \d+/\d+ ")
MOST_LOG_LINES = 60


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """name: tells the run from the others of a report.  weights: the file the report is about.

    metrics: as metrics.csv, a row an epoch.  scalars: by VisualDL's tag, columns step and value.
    log: lines of train.log but those of steps and epochs.  remarks: sentences on what could not be read.
    """

    name: str
    folder: Path
    recipe: Recipe
    weights: Path
    metrics: pd.DataFrame
    scalars: dict[str, pd.DataFrame]
    log: list[str]
    remarks: list[str]

    @property
    def weights_epoch(self) -> int:
        """The epoch after which the weights were kept, from 1: of the best model the first of the best."""
        if self.weights.name == WEIGHTS["best"]:
            best_by = self.metrics.get(self.recipe.run.best_by)
            if best_by is not None and best_by.notna().any():
                return int(self.metrics["epoch"][best_by.idxmax()])
        return int(self.metrics["epoch"].iloc[-1])

    @property
    def last_accuracy(self) -> float:
        """eval_accuracy of the last epoch, NaN if that was not measured."""
        measured = self.metrics.get("eval_accuracy")
        return float("nan") if measured is None else float(measured.iloc[-1])


def read_runs(folders: Sequence[str], overrides: Sequence[str], which: str = "best") -> list[RunRecord]:
    """The records of run folders, by names of their own.  which: of WEIGHTS.  overrides: of each recipe.

    Raises UserError, with the file, for what is not a run that has finished an epoch.
    """
    paths = [Path(folder) for folder in folders]
    resolved = [path.resolve() for path in paths]
    twice = [str(path) for path, place in zip(paths, resolved) if resolved.count(place) > 1]
    if twice:
        raise UserError(f"{twice[0]} is given twice: a run is compared with others")
    names = [path.name for path in resolved]
    if len(set(names)) < len(names):
        names = [path.as_posix() for path in paths]
    return [_read_run(name, path, overrides, which) for name, path in zip(names, paths)]


def _read_run(name: str, folder: Path, overrides: Sequence[str], which: str) -> RunRecord:
    if not (folder / "recipe.yaml").is_file():
        raise UserError(f"{folder} is not a run: there is no recipe.yaml in it")
    weights = folder / WEIGHTS[which]
    if not weights.is_file():
        other = {"best": "has it finished an epoch?", "last": "finish the run, or take --weights best"}
        raise UserError(f"{folder}: there is no {weights.name} in it: {other[which]}")
    recipe = load_recipe(str(folder / "recipe.yaml"), list(overrides))
    remarks: list[str] = []
    metrics = _read_metrics(folder / "metrics.csv")
    scalars = _read_scalars(folder / "vdl", remarks)
    return RunRecord(name, folder, recipe, weights, metrics, scalars, _read_log(folder, remarks), remarks)


def _read_metrics(path: Path) -> pd.DataFrame:
    """Raises UserError unless it is a table of numbers with an epoch a row."""
    try:
        metrics = pd.read_csv(path).apply(pd.to_numeric)
    except (OSError, ValueError) as error:  # pandas' own errors, and those of decoding, are ValueErrors
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        raise UserError(f"{path}: cannot be read as a run's metrics: {reason}") from error
    if "epoch" not in metrics or metrics.empty or not metrics["epoch"].between(1, 1e9).all():
        raise UserError(f"{path}: no epochs are numbered in it: it is not a run's metrics.csv")
    return metrics


def _read_log(folder: Path, remarks: list[str]) -> list[str]:
    """The lines that tell what ran on what; of a run with very many of them the first."""
    path = folder / "train.log"
    try:
        lines = path.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
    except OSError as error:
        remarks.append(f"{path.name} could not be read ({error.strerror}): its environment is not known.")
        return []
    told = [line for line in lines if line.strip() and not PROGRESS.match(line)]
    if len(told) > MOST_LOG_LINES:
        remarks.append(f"{path.name} tells more: the first {MOST_LOG_LINES} of {len(told)} lines are shown.")
    return told[:MOST_LOG_LINES]


def _read_scalars(folder: Path, remarks: list[str]) -> dict[str, pd.DataFrame]:
    """Of a damaged file what VisualDL reads of it; of none, or one it cannot read at all, nothing."""
    found: dict[str, pd.DataFrame] = {}
    files = sorted(folder.glob("*vdlrecords*.log"))
    if not files:
        remarks.append("There are no VisualDL records: only the figures of whole epochs are shown.")
    for file in files:
        try:
            from visualdl import LogReader

            reader = LogReader(file_path=str(file))
            for tag in reader.get_tags().get("scalar", []):
                points = [(point.id, point.value) for point in reader.get_data("scalar", tag)]
                found[tag] = pd.DataFrame(points, columns=["step", "value"]).sort_values("step")
        except Exception as error:  # of whatever kind: its records are not worth a report
            remarks.append(f"VisualDL cannot read {file.name} ({type(error).__name__}).")
    return found
