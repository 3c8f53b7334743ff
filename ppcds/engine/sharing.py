"""What several ranks that share each batch need before the first step."""

from __future__ import annotations

import hashlib

from ppcds.config import Recipe
from ppcds.datasets.split import ImageSplit
from ppcds.distributed import num_ranks, require_same, wait_for_all
from ppcds.engine.frozen import checksums
from ppcds.errors import UserError
from ppcds.methods import Method
from ppcds.models.sync_batch_norm import synchronise_batch_norm


def share_batches(recipe: Recipe, method: Method, batches: list[list[int]]) -> None:
    """Let batch norm count the rows of all ranks; nothing where there is one.

    Before the optimiser is made.  batches: of an epoch.  Raises UserError if ranks cannot have equal parts.
    """
    if num_ranks() == 1:
        return
    size, last = recipe.data.batch_size, len(batches[-1])
    if size % num_ranks():
        raise UserError(f"data.batch_size {size} cannot be shared equally by {num_ranks()} ranks")
    if last % num_ranks():
        raise UserError(
            f"data.drop_last: false leaves a last batch of {last} images, which {num_ranks()} ranks cannot "
            "share equally: drop it, or choose another data.batch_size"
        )
    for layer in (method, *method.frozen().values()):
        synchronise_batch_norm(layer)


def require_same_start(method: Method, train: ImageSplit) -> None:
    """Raise UserError unless all ranks begin with the same weights and have the same training images."""
    wait_for_all()  # packing images may have taken one of them minutes
    require_same("the first weights", checksums({"method": method})["method"])
    rows = hashlib.sha256(train.rows.tobytes() + train.labels.tobytes()).hexdigest()
    require_same("the training images and labels", rows)


def describe_sharing(recipe: Recipe) -> str:
    """One line about the parts of a batch."""
    size = recipe.data.batch_size
    return f"batch {size}: {num_ranks()} ranks x {size // num_ranks()}"
