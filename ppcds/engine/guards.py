"""Warnings in plain words when a representation or a contrast has gone wrong.

The limits were set on embeddings whose state is known (128 images, two views): uniformity is 0 for equal
rows, -0.05 with noise of a tenth in each dimension, -0.38 for an untrained CDS network in training mode,
-0.7 to -1.0 for a trained one, -2.2 for the one-hot rows of ten classes and -3.9 for Gaussian ones. Effective
rank is 1 for equal rows and for rows of +v and -v, 2 for the one-hot rows of two classes, 33 to 37 for CDS.
"""

from __future__ import annotations

COLLAPSED_UNIFORMITY = -0.05  # above it, the mean squared distance of two images is below 0.025
ONE_LINE_RANK = 1.5
FEW = 0.05
FLAT = 0.9


def warnings_about(measures: dict[str, float]) -> list[str]:
    """What an epoch's averaged measures warn of: a line each, with what happened and what to try.

    Names count by their end, whatever stands before it: `effective_rank` and `uniformity` of
    `embedding_health`, `share_with_classmate`, and `lowest` beside `chance` of `contrast_levels`. An absent
    one warns of nothing.
    """
    warnings = []
    for name, value in measures.items():
        shown = f"{name} {value:.3g}:"
        if _is(name, "uniformity") and value > COLLAPSED_UNIFORMITY:
            warnings.append(
                f"{shown} the embeddings have collapsed, all images get nearly the same one; try a lower "
                "optim.learning_rate, a larger data.batch_size or, without negatives, a slower target network"
            )
        elif _is(name, "effective_rank") and value < ONE_LINE_RANK and not _collapsed(name, measures):
            warnings.append(
                f"{shown} all embeddings lie on one line, which is right for two labelled classes alone; try "
                "a lower optim.learning_rate, batch norm in model.head or stronger views"
            )
        elif _is(name, "share_with_classmate") and value < FEW:
            warnings.append(
                f"{shown} few labelled images meet another of their class in a batch, so labels hardly act "
                "on the contrast; try a larger data.batch_size or, with few labels, data.labelled_per_batch"
            )
        elif _is(name, "lowest") and value > FLAT * measures[f"{name[: -len('lowest')]}chance"]:
            warnings.append(
                f"{shown} the temperature makes this loss flat, since not even perfect embeddings bring it a "
                "tenth below chance; try 0.07 to 0.5"
            )
    return warnings


def _is(name: str, measure: str) -> bool:
    return name == measure or name.endswith(f"_{measure}")


def _collapsed(rank_name: str, measures: dict[str, float]) -> bool:
    """Whether the uniformity beside this effective rank has already been warned of."""
    beside = rank_name[: -len("effective_rank")] + "uniformity"
    return measures.get(beside, COLLAPSED_UNIFORMITY) > COLLAPSED_UNIFORMITY
