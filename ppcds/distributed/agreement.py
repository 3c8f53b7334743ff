"""Ranks that end together: what one of them has met, all of them raise, so that none waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import paddle

from ppcds.distributed.gathering import gather, largest
from ppcds.distributed.ranks import num_ranks, rank
from ppcds.distributed.waiting import wait_for_all
from ppcds.errors import UserError

Result = TypeVar("Result")


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
