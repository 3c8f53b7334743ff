"""SimCLR (Chen et al. 2020, arXiv:2002.05709)."""

from __future__ import annotations

from typing import Annotated, Literal

import paddle
from pydantic import Field

from ppcds.losses import contrast_levels, nt_xent_loss
from ppcds.losses.contrast import BLOCK_ROWS
from ppcds.losses.embeddings import unit_rows
from ppcds.methods.method import Method, stack_views
from ppcds.models import Encoder


class SimCLR(Method):
    """NT-Xent of the projections of two views of each image; labels are not looked at.

    temperature: the paper's 0.1 of ImageNet (its CIFAR-10 runs use 0.5).
    negatives: "all" is the paper's eq. 1, all 2N - 2 other rows; "cross" those of the other view alone.
    """

    views_used = 2
    representation = True

    def __init__(
        self,
        encoder: Encoder,
        temperature: Annotated[float, Field(gt=0)] = 0.1,
        negatives: Literal["all", "cross"] = "all",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.temperature = temperature
        self.negatives = negatives

    def outputs(self, views, labels):
        # One pass over both views: batch norm sees them as one batch, as in the authors' code.
        _, projections = self.encoder.project(paddle.concat(views))
        return {"projections": stack_views(projections, 2)}

    def losses(self, outputs, labels):
        pair = paddle.unbind(outputs["projections"], axis=1)
        loss = nt_xent_loss(pair, self.temperature, self.negatives)
        candidates = 2 * len(labels) - 1 if self.negatives == "all" else len(labels)
        self.note(
            **contrast_levels("nt_xent", candidates, self.temperature),
            contrastive_accuracy=contrastive_accuracy(pair, self.negatives),
        )
        self.note_embeddings("embedding", pair)
        return {"nt_xent": loss}

    def deployed(self):
        return self.encoder


@paddle.no_grad()
def contrastive_accuracy(views: list[paddle.Tensor], negatives: str = "all") -> paddle.Tensor:
    """Share of the 2N rows whose most similar candidate is the other view of their image.

    views: two tensors [N, D], any scale.  negatives: candidates, as in the loss: "all" others or "cross".
    """
    rows, num_images = unit_rows(paddle.concat(views)), views[0].shape[0]
    place = paddle.arange(rows.shape[0])
    group = place if negatives == "all" else place // num_images  # no candidates: itself, or its whole view
    other_view = (place + num_images) % rows.shape[0]
    hits = 0
    for start in range(0, rows.shape[0], BLOCK_ROWS):  # as the loss, without an array [2N, 2N]
        block = slice(start, start + BLOCK_ROWS)
        similarity = paddle.matmul(rows[block], rows, transpose_y=True)
        below_all = paddle.full_like(similarity, -2.0)
        similarity = paddle.where(group[block].unsqueeze(1) == group, below_all, similarity)
        hits += (similarity.argmax(axis=1) == other_view[block]).astype("float32").sum()
    return hits / rows.shape[0]
