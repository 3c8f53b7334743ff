"""One batch: which rows, which random numbers, and what is made of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import paddle

from ppcds.datasets.bad_images import LEFT_OUT, load_readable, note_unreadable
from ppcds.errors import UserError
from ppcds.runtime import seed_for
from ppcds.transforms.view import View
from ppcds.transforms.whole_batch import apply_to_batch


class Part(NamedTuple):
    """Rows of a batch that one process makes: the batch's number in its epoch, where they begin, the rows.

    whole: the rows of the whole batch.
    """

    batch: int
    start: int
    rows: list[int]
    whole: list[int]


def part_of_rank(batch: int, rows: list[int], rank: int, num_ranks: int) -> Part:
    """The rows [rank n : (rank + 1) n] of a batch. Raises UserError if it cannot be shared equally."""
    share, rest = divmod(len(rows), num_ranks)
    if rest:
        raise UserError(
            f"a batch of {len(rows)} images cannot be shared equally by {num_ranks} processes: choose "
            "data.batch_size as a multiple of their number, and data.drop_last: true"
        )
    return Part(batch, rank * share, rows[rank * share : (rank + 1) * share], rows)


class BatchMaker:
    """Batches of a data set with `load_images`, `labels` and `views` (see ImageSplit) in one epoch.

    A view draws from a generator seeded by (seed, epoch, batch, number of the view), row after row: so a
    view does not depend on who makes it, in which process, on the processor or on a device.

    `arrays` is the work for reading processes, `finish` what is left to the process that trains.

    Where the data set's `on_bad_image` says so, another image is shown for one that cannot be read, or none:
    which rows were used in fact is the last of the `arrays`, -1 for none.
    """

    def __init__(self, dataset, seed: int, epoch: int) -> None:
        self.dataset, self.seed, self.epoch = dataset, seed, epoch
        self.views = [view if isinstance(view, View) else View([view]) for view in dataset.views]
        self.on_device = any(view.on_device for view in self.views)

    def arrays(self, part: Part, out: list[np.ndarray] | None = None) -> list[np.ndarray]:
        """The views, float32 [n, 3, H, W] each; for views on a device the images, uint8 [n, H, W, 3].

        The last array is the rows that were used, int64 [n].

        Written into `out` if given. Raises UserError with the name of a broken image.
        """
        rows = np.empty(len(part.rows), np.int64) if out is None else out[-1]
        rows[:] = part.rows
        images = load_readable(self.dataset, part, rows, self._seed(part))
        if self.on_device:
            return [np.stack(images, out=None if out is None else out[0]), rows]
        sizes = _sides(images)
        out = out or [None] * len(self.views)
        return [
            *(
                apply_to_batch(view, images, self._parameters(i, part, *sizes), out[i])
                for i, view in enumerate(self.views)
            ),
            rows,
        ]

    def layouts(self, parts: list[Part]) -> list[list[tuple]]:
        """(shape, dtype) of each array of each part; the first image tells them."""
        first = self.arrays(parts[0]._replace(rows=parts[0].rows[:1]))
        return [[((len(part.rows), *array.shape[1:]), array.dtype) for array in first] for part in parts]

    def finish(self, part: Part, tensors: list[paddle.Tensor]) -> list[paddle.Tensor]:
        """The views, float32 [n, 3, H, W] each, from the arrays as tensors."""
        if not self.on_device:
            return tensors
        (images,) = tensors
        return [
            view.apply_on_device(images, self._parameters(i, part, *images.shape[1:3]))
            for i, view in enumerate(self.views)
        ]

    def labels(self, rows: np.ndarray) -> paddle.Tensor:
        """int64 [n] of the rows that were used."""
        labels = np.where(rows < 0, LEFT_OUT, np.asarray(self.dataset.labels)[rows])
        return paddle.to_tensor(labels.astype(np.int64))

    def note_unreadable(self, part: Part, used: np.ndarray) -> None:
        """Put what could not be read, and why, into the data set's `unreadable`."""
        note_unreadable(self.dataset, part, used, self._seed(part))

    def _seed(self, part: Part) -> int:
        """Of the choice of images that take the place of others."""
        return seed_for(self.seed, self.epoch, part.batch)

    def _parameters(self, number: int, part: Part, heights, widths) -> list[np.ndarray]:
        generator = np.random.RandomState(seed_for(self.seed, self.epoch, part.batch, number))
        view = self.views[number]
        uniforms = generator.random_sample((part.start + len(part.rows), view.draws))
        return view.parameters(uniforms[part.start :], heights, widths)


def _sides(images: Iterable[np.ndarray]):
    """Heights and widths: numbers if all are equal, arrays [N] if not."""
    heights, widths = np.array([image.shape[:2] for image in images]).T
    if (heights == heights[0]).all() and (widths == widths[0]).all():
        return int(heights[0]), int(widths[0])
    return heights, widths
