"""After the last epoch: what came of a run, and where it lies."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from ppcds.config import Recipe


def conclude(recipe: Recipe, history: list[dict[str, float]], representation: bool) -> str:
    """The last lines of a run on the screen: its accuracy, its files, and what to do with them.

    history: the rows of metrics.csv.  representation: whether the run has trained an encoder.
    """
    folder = Path(recipe.run.output_dir)
    split = "held-back" if recipe.data.hold_back else "validation"
    measure = "nearest-neighbour accuracy" if representation else "accuracy"
    measured = [row for row in history if "eval_accuracy" in row]
    done = "Done; without a label in train nothing could be measured."
    if measured:
        last = measured[-1]["eval_accuracy"]
        best = max(measured, key=lambda row: row[recipe.run.best_by])["eval_accuracy"]  # best_model.pdparams'
        done = f"Done: {split} {measure} {last:.4f} after the last epoch, best {best:.4f}."
    # an encoder gives no classes to evaluate, and what later runs start from is its last epoch
    tool, weights = ("probe.py", "last_model") if representation else ("eval.py", "best_model")
    files = "metrics.csv, train.log, recipe.yaml, best_model.pdparams, last_model.pdparams"
    return "\n".join(
        [
            done,
            f"  results    {folder}/{files}",
            f"  curves     visualdl --logdir {quote(str(folder / 'vdl'))}",
            f"  evaluate   python tools/{tool} --weights {quote(str(folder / f'{weights}.pdparams'))}",
        ]
    )
