"""Batches in an order, and with random views, that follow from the seed, the epoch and the position alone."""

from __future__ import annotations

import cv2
import numpy as np
from paddle.io import DataLoader, Dataset

from ppcds.errors import UserError
from ppcds.runtime import seed_example, seed_for


class SeededExamples(Dataset):
    """A data set whose i-th example draws its views from (seed, epoch, i), whichever process makes it."""

    def __init__(self, dataset: Dataset, seed: int, epoch: int) -> None:
        super().__init__()
        self.dataset, self.seed, self.epoch = dataset, seed, epoch

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int):
        seed_example(self.seed, self.epoch, int(index))
        return self.dataset[index]


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
    dataset: Dataset, batch_size: int, drop_last: bool, seed: int, epoch: int
) -> list[list[int]]:
    """The shuffled batches of an epoch. Raises UserError if drop_last would leave none."""
    if drop_last and len(dataset) < batch_size:
        raise UserError(
            f"data.batch_size {batch_size} is larger than the {len(dataset)} training images, and "
            "data.drop_last drops what does not fill a batch: use a smaller batch or drop_last: false"
        )
    return batches_of(len(dataset), batch_size, drop_last, seed_for(seed, epoch))


def load_batches(
    dataset: Dataset, batches: list[list[int]], num_workers: int = 0, seed: int = 0, epoch: int = 0
) -> DataLoader:
    """A loader of (list of V tensors [N, C, H, W], labels [N]) over the given batches of row numbers."""
    return DataLoader(
        SeededExamples(dataset, seed, epoch),
        batch_sampler=batches,
        num_workers=num_workers,
        worker_init_fn=_one_thread_a_worker,
    )


def _one_thread_a_worker(worker: int) -> None:
    cv2.setNumThreads(1)  # the workers are the parallelism
