"""Ranks: the only file that knows of more than one process.

`python -m paddle.distributed.launch` starts the processes and tells each its number by the environment;
`join_ranks` makes a group of them. Until then, and without the launcher, there is one rank.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
import paddle
from paddle.autograd import PyLayer

from ppcds.errors import UserError
from ppcds.heartbeat import Heartbeat, lost

GONE = 30.0  # seconds without a beat after which a rank that is waited for has gone
_heartbeat: Heartbeat | None = None
Result = TypeVar("Result")


def join_ranks(device: str | None) -> None:
    """Make one group of the processes that the launcher has started; nothing without a launcher.

    device: --device, which has to leave the choice among several GPUs to the launcher.
    """
    launched = int(os.environ.get("PADDLE_TRAINERS_NUM", 1))
    if launched == 1:
        return
    if device and ":" in device:
        raise UserError(
            f"--device {device}: {launched} processes cannot share it: leave it out, and name the devices to "
            "the launcher (--gpus 0,1)"
        )
    if not paddle.device.get_device().startswith("gpu"):
        os.environ["PADDLE_DISTRI_BACKEND"] = "gloo"  # the one for processors
    paddle.distributed.init_parallel_env()
    global _heartbeat
    _heartbeat = Heartbeat(rank(), num_ranks())


def num_ranks() -> int:
    """How many processes train together."""
    return paddle.distributed.get_world_size() if paddle.distributed.is_initialized() else 1


def rank() -> int:
    """The number of this process among them."""
    return paddle.distributed.get_rank() if paddle.distributed.is_initialized() else 0


def launcher() -> str:
    """What stands before the script in the command that began this run."""
    return "python" if num_ranks() == 1 else "python -m paddle.distributed.launch ..."


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


def raise_together(error: Exception | None) -> None:
    """Raise on every rank what one of them has met, so that none waits for it; nothing if no rank has.

    The others raise a UserError of the same words.
    """
    if num_ranks() == 1 and error:
        raise error
    if not largest(int(error is not None)):
        return
    messages: list[str] = []
    paddle.distributed.all_gather_object(messages, _in_words(error) if error else "")
    raise error or UserError(next(message for message in messages if message))


def _in_words(error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error)
    return f"rank {rank()} has ended: {type(error).__name__}: {error}"


def together(act: Callable[[], Result]) -> Result:
    """act() of each rank; a UserError of one is raised on all."""
    error = result = None
    try:
        result = act()
    except UserError as met:
        error = met
    raise_together(error)
    return result


def read_together(batches: Iterable) -> Iterator:
    """The batches of an iterable, as many on each rank; a UserError of one rank is raised on all."""
    if num_ranks() == 1:
        yield from batches
        return
    waiting, ended = iter(batches), object()
    while (batch := together(lambda: next(waiting, ended))) is not ended:
        yield batch


def merged(found: dict) -> dict:
    """The entries of every rank's dictionary."""
    if num_ranks() == 1:
        return found
    of_ranks: list[dict] = []
    paddle.distributed.all_gather_object(of_ranks, found)
    return {key: value for own in of_ranks for key, value in own.items()}


def require_same(what: str, checksum: str) -> None:
    """Raise UserError unless every rank has this checksum (hexadecimal) of `what`."""
    if num_ranks() == 1:
        return
    found = [own.item() for own in gather(paddle.to_tensor([int(checksum[:15], 16)], dtype="int64"))]
    others = [number for number, value in enumerate(found) if value != found[0]]
    if others:
        raise UserError(
            f"{what} of rank {others[0]} are not those of rank 0: do all of them read the same files, with "
            "the same versions of Paddle and NumPy?"
        )


_waits = 0


def wait_for_all() -> None:
    """Wait until every rank has come here, however long one takes: gloo gives up after 30 s.

    Raises UserError if one has ended.
    """
    global _waits
    if num_ranks() == 1:
        return
    key, _waits = f"ppcds/wait/{_waits}", _waits + 1
    arrived = _count(key, 1)
    while arrived < num_ranks():
        time.sleep(0.01)
        gone = _heartbeat.silent(GONE)
        if gone:
            raise lost(gone)
        arrived = _count(key, 0)


def _count(key: str, add: int) -> int:
    """The sum of what all ranks have added."""
    try:
        return paddle.base.core.create_or_get_global_tcp_store().add(key, add)
    except ValueError as error:  # Paddle's: rank 0 has gone, and the store with it
        raise lost([0]) from error


def once_for_all(act: Callable[[], None]) -> None:
    """Let the first rank do what is done once, while the others wait; its error is raised on all."""
    error = None
    if rank() == 0:
        try:
            act()
        except Exception as met:  # a bug of one, too, ends all of them
            error = met
    wait_for_all()
    raise_together(error)


@contextlib.contextmanager
def lost_ranks_in_words() -> Iterator[None]:
    """Say which of the other ranks have gone, if that is what has happened."""
    try:
        yield
    except RuntimeError as error:
        if num_ranks() == 1 or not any(word in str(error).lower() for word in ("gloo", "nccl")):
            raise
        raise lost(_heartbeat.lost()) from error


def gather_batches(array: np.ndarray, batch_sizes: list[int]) -> np.ndarray:
    """What the ranks found of their parts of batches, [rows, ...] each, in the order of the batches."""
    if num_ranks() == 1:
        return array
    ends = np.cumsum(batch_sizes)[:-1] // num_ranks()
    of_ranks = [np.split(found.numpy(), ends) for found in gather(paddle.to_tensor(array))]
    return np.concatenate([part for of_batch in zip(*of_ranks) for part in of_batch])
