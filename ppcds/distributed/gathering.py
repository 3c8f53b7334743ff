"""What all ranks know of what each has: gathered rows, averaged gradients, the largest of their numbers."""

from __future__ import annotations

import numpy as np
import paddle
from paddle.autograd import PyLayer

from ppcds.distributed.ranks import num_ranks, rank


def gather_rows(tensor: paddle.Tensor) -> paddle.Tensor:
    """The rows of all ranks, [N, ...] of each -> [ranks x N, ...], differentiable. One rank: as it is.

    Every rank then takes the same loss of all rows. Its own rows get that loss's gradient times the number of
    ranks, because average_gradients divides by it. N is the same on every rank.
    """
    if num_ranks() == 1:
        return tensor
    return _GatherRows.apply(tensor) if not tensor.stop_gradient else paddle.concat(gather(tensor))


class _GatherRows(PyLayer):
    """all_gather, which has no gradient in Paddle, with one."""

    @staticmethod
    def forward(ctx, tensor: paddle.Tensor) -> paddle.Tensor:
        ctx.rows = tensor.shape[0]
        return paddle.concat(gather(tensor))

    @staticmethod
    def backward(ctx, gradient: paddle.Tensor) -> paddle.Tensor:
        start = rank() * ctx.rows
        return gradient[start : start + ctx.rows] * num_ranks()


def gather(tensor: paddle.Tensor) -> list[paddle.Tensor]:
    """A tensor of each rank, all of one shape, without gradients."""
    found = []
    paddle.distributed.all_gather(found, tensor.detach().contiguous())
    return found


def gather_batches(array: np.ndarray, batch_sizes: list[int]) -> np.ndarray:
    """What the ranks found of their parts of batches, [rows, ...] each, in the order of the batches."""
    if num_ranks() == 1:
        return array
    ends = np.cumsum(batch_sizes)[:-1] // num_ranks()
    of_ranks = [np.split(found.numpy(), ends) for found in gather(paddle.to_tensor(array))]
    return np.concatenate([part for of_batch in zip(*of_ranks) for part in of_batch])


def average_gradients(layer: paddle.nn.Layer) -> None:
    """Replace each gradient by its mean over the ranks; to be called once, after all of `backward`.

    Not paddle.DataParallel: it reduces during `backward`, between the collectives of gather_rows and batch
    norm, in an order that ranks need not share, and after each part of a batch that comes in parts.
    """
    if num_ranks() > 1:
        from paddle.distributed.fleet.utils.hybrid_parallel_util import fused_allreduce_gradients

        fused_allreduce_gradients(list(layer.parameters()), None)


def largest(number: int) -> int:
    """The largest of the ranks' numbers."""
    if num_ranks() == 1:
        return number
    shared = paddle.to_tensor([number], dtype="int64")
    paddle.distributed.all_reduce(shared, op=paddle.distributed.ReduceOp.MAX)
    return shared.item()


def merged(found: dict) -> dict:
    """The entries of every rank's dictionary."""
    if num_ranks() == 1:
        return found
    of_ranks: list[dict] = []
    paddle.distributed.all_gather_object(of_ranks, found)
    return {key: value for own in of_ranks for key, value in own.items()}
