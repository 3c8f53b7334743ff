"""What the trainer expects of a way of learning."""

from __future__ import annotations

from typing import Optional

import paddle

from ppcds.distributed import gather_rows
from ppcds.losses import embedding_health
from ppcds.losses.supcon import single_precision


class Method(paddle.nn.Layer):
    """A network and everything that only training needs.

    views_used: how many of the recipe's training views an example needs.
    views_made: how many views of an image it makes itself, None if the recipe's are all.
    schedules: names of options that, unless they are "constant", follow `progress`.
    representation: whether it learns features without a classifier; `deployed()` is then an Encoder, and
    what is measured of it each epoch is the accuracy of its nearest neighbours.
    progress: share of the run's steps that are done, 0 to 1; the trainer sets it before each step.
    started_from: a sentence about the weights it starts from, or "".
    """

    views_used = 1
    views_made: Optional[int] = None
    schedules: tuple[str, ...] = ()
    representation = False
    progress = 0.0
    started_from = ""

    def __init__(self) -> None:
        super().__init__()
        self.noted: dict[str, paddle.Tensor | float] = {}

    def forward(self, views: list[paddle.Tensor], labels: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """Named, weighted losses of a batch and "loss", their sum.

        views: V tensors [N, 3, H, W]; labels: [N], -1 = unlabelled.  With several ranks these are the losses
        of the batch of all of them, the same on each.
        """
        return self.all_losses(self.outputs(self.make_views(views), labels), labels)

    def make_views(self, views: list[paddle.Tensor]) -> list[paddle.Tensor]:
        """What `outputs` takes, of the recipe's views: here a method augments a batch itself."""
        return views

    def outputs(self, views: list[paddle.Tensor], labels: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """What networks make of a batch, by name: tensors [N, ...], one row an image, views on axis 1.

        Nothing here may look from one row at another, batch norm apart: rows of several ranks, or of several
        parts of a batch, are put together before the losses are taken.
        """
        raise NotImplementedError(f"{type(self).__name__} has no outputs")

    def all_losses(
        self, outputs: dict[str, paddle.Tensor], labels: paddle.Tensor
    ) -> dict[str, paddle.Tensor]:
        """`losses` of the outputs of all ranks, of which these are one's, and "loss"; in single precision."""
        outputs = {name: gather_rows(single_precision(rows)) for name, rows in outputs.items()}
        return with_total(self.losses(outputs, gather_rows(labels)))

    def losses(self, outputs: dict[str, paddle.Tensor], labels: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """The named, weighted losses of all rows; measures beside them go to `note`."""
        raise NotImplementedError(f"{type(self).__name__} has no losses")

    def note(self, **measures: paddle.Tensor | float) -> None:
        """Record measures of this step that are no losses: they are averaged and logged beside them."""
        for name, value in measures.items():
            self.noted[name] = value.detach() if isinstance(value, paddle.Tensor) else value

    def note_embeddings(self, name: str, views: list[paddle.Tensor]) -> None:
        """Note <name>_effective_rank, _alignment and _uniformity of V views [N, D] (see embedding_health)."""
        self.note(**{f"{name}_{measure}": value for measure, value in embedding_health(views).items()})

    def after_step(self) -> None:
        """Called once after each step of the optimiser."""

    def frozen(self) -> dict[str, paddle.nn.Layer]:
        """Layers that no step may change, buffers included, by a name for messages; the trainer checks."""
        return {}

    def deployed(self) -> paddle.nn.Layer:
        """The network that is evaluated, saved as best and exported: images -> logits, or features."""
        raise NotImplementedError(f"{type(self).__name__} has no deployed network")


def stack_views(rows: paddle.Tensor, num_views: int) -> paddle.Tensor:
    """[V N, ...], view after view as a network sees them -> [N, V, ...], one row an image."""
    return paddle.stack(paddle.split(rows, num_views), axis=1)


def concat_views(images: paddle.Tensor) -> paddle.Tensor:
    """[N, V, ...] -> [V N, ...], view after view."""
    return paddle.concat(paddle.unbind(images, axis=1))


def with_total(parts: dict[str, paddle.Tensor]) -> dict[str, paddle.Tensor]:
    """The named losses and their sum as "loss"."""
    return {"loss": paddle.add_n(list(parts.values())), **parts}
