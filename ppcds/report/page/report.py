"""From runs to a page."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Optional

from ppcds.engine.answers import Answers
from ppcds.report.page.comparison import accuracy_chart, describe_groups, describe_pairs
from ppcds.report.page.described import answers_of, describe_run
from ppcds.report.page.recipe import versions
from ppcds.report.page.render import Page
from ppcds.report.run_record import WEIGHTS, RunRecord

CHOSEN = (
    "Weights are those of the epoch with the best validation accuracy: measured on those very images they "
    "are a little flattered, the last epoch's are not."
)
LAST = "Weights are those of the last epoch: nothing was chosen on the validation images."


def report(runs: Sequence[RunRecord], split: str = "val") -> str:
    """The page of one run, or of several and their comparison, as HTML."""
    asked = [answers_of(run, split) for run in runs]
    answers = [found for _, found in asked]
    described = [describe_run(run, *found) for run, found in zip(runs, asked)]
    names = ", ".join(run.name for run in runs)
    when = datetime.datetime.now()
    return Page().render(
        "report.html",
        title=f"Report: {names}" if len(runs) <= 3 else f"Report of {len(runs)} runs",
        about=f"{answers[0].split.split} of {answers[0].split.root}; {when:%Y-%m-%d %H:%M}",
        runs=described,
        comparison=_compared(runs, answers),
        versions=versions(),
        weights_note=CHOSEN if runs[0].weights.name == WEIGHTS["best"] else LAST,
    )


def _compared(runs: Sequence[RunRecord], answers: Sequence[Answers]) -> Optional[dict]:
    if len(runs) == 1:
        return None
    pairs, unlike = describe_pairs([run.name for run in runs], answers)
    groups = describe_groups(runs, answers)
    return {
        "charts": accuracy_chart(runs),
        "pairs": pairs,
        "unlike": unlike,
        "groups": groups,
        "has_seeds": any(len(group.names) > 1 for group in groups),
    }
