"""Batches in an order, and with random views, that follow from the seed, the epoch and the position alone."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from functools import partial

import numpy as np
import paddle
from paddle.io import Dataset
from paddle.utils.dlpack import from_dlpack

from ppcds.datasets.batch_maker import BatchMaker, Part, part_of_rank
from ppcds.datasets.mixed_batches import mixed_batches
from ppcds.datasets.reading import ReadingProcesses, ahead_by_thread
from ppcds.errors import UserError
from ppcds.runtime import seed_for


def batches_of(
    count: int, batch_size: int, drop_last: bool, shuffle_seed: int | None = None
) -> list[list[int]]:
    """Row numbers of each batch of one epoch; shuffled if a seed is given."""
    order = (
        np.arange(count) if shuffle_seed is None else np.random.RandomState(shuffle_seed).permutation(count)
    )
    stop = count - count % batch_size if drop_last else count
    return [order[start : start + batch_size].tolist() for start in range(0, stop, batch_size)]


def train_batches(
    dataset: Dataset,
    batch_size: int,
    drop_last: bool,
    seed: int,
    epoch: int,
    labelled_per_batch: int | None = None,
) -> list[list[int]]:
    """The shuffled batches of an epoch. Raises UserError if drop_last would leave none.

    labelled_per_batch: so many rows of each batch have a label and the others none, in as many batches as
    without it; needs `dataset.labels` (int64 [N], -1 = unlabelled). See mixed_batches.
    """
    count = len(dataset)
    if drop_last and count < batch_size:
        raise UserError(
            f"data.batch_size {batch_size} is larger than the {count} training images, and "
            "data.drop_last drops what does not fill a batch: use a smaller batch or drop_last: false"
        )
    if labelled_per_batch is None:
        return batches_of(count, batch_size, drop_last, seed_for(seed, epoch))
    steps = count // batch_size if drop_last else math.ceil(count / batch_size)
    return mixed_batches(dataset.labels, batch_size, labelled_per_batch, steps, seed, epoch)


def load_batches(
    dataset,
    batches: list[list[int]],
    num_workers: int = 0,
    seed: int = 0,
    epoch: int = 0,
    first_batch: int = 0,
    rank: int = 0,
    num_ranks: int = 1,
) -> Iterator[tuple[list[paddle.Tensor], paddle.Tensor]]:
    """(list of V float32 tensors [N, 3, H, W], labels int64 [N]) for each list of row numbers.

    dataset: an ImageSplit, or what has its load_images, labels and views.
    first_batch: the number in the epoch of batches[0]; views follow from (seed, epoch, number of the batch,
    place in it), whoever makes them.  rank, num_ranks: only this rank's part of each batch is made.
    Made ahead by a thread, or by `num_workers` processes. What a broken image raises is raised here; where
    the data set's on_bad_image says so, it is replaced instead, or has the label bad_images.LEFT_OUT.
    """
    if not batches:
        return
    parts = [part_of_rank(first_batch + i, rows, rank, num_ranks) for i, rows in enumerate(batches)]
    maker = BatchMaker(dataset, seed, epoch)
    made, device = _in_words(_made_ahead(maker, parts, num_workers)), paddle.device.get_device()
    put = partial(_put_on, device)
    # on its way to another device while the batch before trains; on the processor nothing is copied
    tensors = map(put, made) if device == "cpu" else ahead_by_thread(put, made)
    for part, (batch, used) in zip(parts, tensors):
        maker.note_unreadable(part, used)
        yield maker.finish(part, batch), maker.labels(used)


def _put_on(device: str, made: list[np.ndarray]) -> tuple[list[paddle.Tensor], np.ndarray]:
    """The tensors of a batch and the rows it is of, from what BatchMaker.arrays has made.

    On the processor they are the arrays' own memory (Paddle before 3 copies it), on another device copies.
    """
    *arrays, used = made
    used = used.copy()  # the memory it is in is used again
    if device == "cpu":
        return [from_dlpack(array.__dlpack__()) for array in arrays], used
    return [paddle.to_tensor(array, place=device) for array in arrays], used


def _in_words(made: Iterator) -> Iterator:
    try:
        yield from made
    except MemoryError as error:
        raise UserError(
            f"no memory is left to read images with ({error}): lower data.batch_size or data.num_workers"
        ) from error


def _made_ahead(maker: BatchMaker, parts: list[Part], num_workers: int) -> Iterator[list[np.ndarray]]:
    if not num_workers:
        return ahead_by_thread(maker.arrays, parts)
    layouts = maker.layouts(parts)
    try:
        return ReadingProcesses(maker.arrays, parts, layouts, num_workers).batches()
    except (OSError, ImportError, NotImplementedError) as error:  # of memory, processes or semaphores
        warnings.warn(
            f"{num_workers} reading processes cannot be started ({error}): one thread reads instead; where "
            "/dev/shm is full or missing, docker run --shm-size makes it larger",
            stacklevel=3,
        )
        return ahead_by_thread(maker.arrays, parts)
