"""Batches in an order, and with random views, that follow from the seed, the epoch and the position alone."""

from __future__ import annotations

import math
import os
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import paddle
from paddle.io import DataLoader, Dataset

from ppcds.datasets.mixed_batches import mixed_batches
from ppcds.errors import UserError
from ppcds.runtime import seed_example, seed_for


class SeededExamples(Dataset):
    """A data set whose i-th example draws its views from (seed, epoch, i), whichever process makes it.

    Number i + k * len is example i when it comes for the (k+1)-th time in an epoch: other views of it.
    """

    def __init__(self, dataset: Dataset, seed: int, epoch: int) -> None:
        super().__init__()
        self.dataset, self.seed, self.epoch = dataset, seed, epoch

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int):
        seed_example(self.seed, self.epoch, int(index))
        return self.dataset[int(index) % len(self.dataset)]


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
    without it; needs `dataset.labels` (int64 [N], -1 = unlabelled). See mixed_batches. A row that comes
    again is numbered on by len(dataset): SeededExamples draws other views of it.
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
    batches = mixed_batches(dataset.labels, batch_size, labelled_per_batch, steps, seed, epoch)
    return _number_repeats(batches, count)


def _number_repeats(batches: list[list[int]], count: int) -> list[list[int]]:
    """Row r as r + k * count where it stands for the (k+1)-th time, for SeededExamples."""
    seen: Counter[int] = Counter()
    numbered = []
    for rows in batches:
        numbered.append([])
        for row in rows:
            numbered[-1].append(row + seen[row] * count)
            seen[row] += 1
    return numbered


def load_batches(
    dataset: Dataset, batches: list[list[int]], num_workers: int = 0, seed: int = 0, epoch: int = 0
) -> Iterator[tuple[list[paddle.Tensor], paddle.Tensor]]:
    """(list of V tensors [N, C, H, W], labels [N]) for each list of row numbers.

    Read ahead by a thread, or by `num_workers` processes. What a broken image raises is raised here.
    """
    examples = SeededExamples(dataset, seed, epoch)
    if not batches:
        return
    if num_workers and not _shared_memory_holds(examples, batches[0], num_workers):
        num_workers = 0
    if not num_workers:
        yield from _read_ahead(examples, batches)
        return
    # The workers are the parallelism. Here, and not in each: a forked process that gives up the threads which
    # this one has begun waits for them without end.
    cv2.setNumThreads(1)
    loader = DataLoader(
        _ErrorsAsValues(examples),
        batch_sampler=batches,
        num_workers=num_workers,
        collate_fn=_collate_unless_error,
        worker_init_fn=_start_worker,
    )
    for batch in loader:
        if len(batch) == 1:  # not views and labels, but what _collate_unless_error made of a mistake
            raise UserError(batch[0].numpy().tobytes().decode())
        yield batch


def _read_ahead(examples: Dataset, batches: list[list[int]]) -> Iterator:
    """One batch ahead in one thread. Paddle's own reading thread would hang the run if an image is broken."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        read = reader.submit(_read, examples, batches[0])
        for rows in [*batches[1:], None]:
            views, labels = read.result()
            if rows is not None:
                read = reader.submit(_read, examples, rows)
            yield [paddle.to_tensor(view) for view in views], paddle.to_tensor(labels)


def _read(examples: Dataset, rows: list[int]):
    return _collate([examples[row] for row in rows])


def _collate(batch: list) -> tuple[list[np.ndarray], np.ndarray]:
    views = [np.stack(images) for images in zip(*(views for views, _ in batch))]
    return views, np.array([label for _, label in batch], dtype=np.int64)


class _ErrorsAsValues(Dataset):
    """Hands a user's mistake on as its message: a worker process would print it with its traceback."""

    def __init__(self, examples: Dataset) -> None:
        super().__init__()
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int):
        try:
            return self.examples[index]
        except UserError as error:
            return str(error)


def _collate_unless_error(batch: list):
    messages = [item for item in batch if isinstance(item, str)]
    if messages:  # as an array: Paddle's loader ends without a word on anything else
        return [np.frombuffer(messages[0].encode(), dtype=np.uint8)]
    return _collate(batch)


def _start_worker(worker: int) -> None:
    if hasattr(os, "setpgrp"):  # not on Windows
        os.setpgrp()  # a signal to the run's process group is for the run, which then ends its workers


def _shared_memory_holds(examples: Dataset, rows: list[int], num_workers: int) -> bool:
    """Whether /dev/shm has room for what workers read ahead; a full one ends a run with a bus error."""
    views, _ = examples[rows[0]]
    batch = len(rows) * sum(view.nbytes for view in views)
    needed = 2 * num_workers * batch  # Paddle's workers are two batches ahead
    shared = Path("/dev/shm")
    if not shared.is_dir() or shutil.disk_usage(shared).free > needed:
        return True
    warnings.warn(
        f"/dev/shm has no room for the {needed / 2**20:.0f} MiB of {num_workers} reading processes: "
        "one thread reads instead (docker run --shm-size makes it larger)",
        stacklevel=2,
    )
    return False
