"""Ranks: the only package that knows of more than one process."""

from ppcds.distributed.agreement import once_for_all, raise_together, read_together, require_same, together
from ppcds.distributed.gathering import (
    average_gradients,
    gather,
    gather_batches,
    gather_rows,
    largest,
    merged,
)
from ppcds.distributed.ranks import join_ranks, launcher, num_ranks, rank
from ppcds.distributed.waiting import lost_ranks_in_words, wait_for_all

__all__ = [
    "average_gradients",
    "gather",
    "gather_batches",
    "gather_rows",
    "join_ranks",
    "largest",
    "launcher",
    "lost_ranks_in_words",
    "merged",
    "num_ranks",
    "once_for_all",
    "raise_together",
    "rank",
    "read_together",
    "require_same",
    "together",
    "wait_for_all",
]
