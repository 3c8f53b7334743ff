"""Ranks: the only file that knows of more than one process."""

from __future__ import annotations

import paddle


def num_ranks() -> int:
    """How many processes train together."""
    return paddle.distributed.get_world_size()


def rank() -> int:
    """The number of this process among them."""
    return paddle.distributed.get_rank()


def gather_rows(tensor: paddle.Tensor) -> paddle.Tensor:
    """The rows of all ranks, [N, ...] of each -> [ranks x N, ...], differentiable. One rank: as it is."""
    return tensor
