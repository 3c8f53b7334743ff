"""Momentum contrast (He et al. 2020, arXiv:1911.05722; v2: Chen et al. 2020, arXiv:2003.04297)."""

from __future__ import annotations

from typing import Annotated

import paddle
from pydantic import Field

from ppcds.errors import UserError
from ppcds.losses import contrast_levels, info_nce_loss
from ppcds.losses.embeddings import unit_rows
from ppcds.methods.ema import copy_without_gradient, ema_update
from ppcds.methods.method import Method
from ppcds.models import Encoder

MOST_NUMBERS = 2**28  # in the queue, 1 GB; the largest in use have 2^24


class MoCo(Method):
    """InfoNCE: view 1's projection finds, among a queue of earlier images, view 2's by the key encoder.

    temperature: v2's (v1: 0.07).  queue_size: keys kept, random at first.  momentum: of the key encoder.
    The key encoder's running statistics come from its own passes in training mode, as in the authors' code.
    That code also shuffles images between processes, so that batch norm cannot give the positive away:
    within one process there is nothing to shuffle, which can make the task too easy.
    SimCLR v2's memory is such a queue, beside the negatives of the batch; here they are the queue's alone.
    """

    views_used = 2
    representation = True

    def __init__(
        self,
        encoder: Encoder,
        temperature: Annotated[float, Field(gt=0)] = 0.2,
        queue_size: Annotated[int, Field(gt=0)] = 65536,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.999,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.key_encoder = copy_without_gradient(encoder)
        self.temperature = temperature
        self.momentum = momentum
        width = encoder.projection.out_dim
        if queue_size * width > MOST_NUMBERS:
            raise UserError(f"method.queue_size: {queue_size} keys of {width} numbers are too many to keep")
        queue = unit_rows(paddle.randn([queue_size, width]))
        self.register_buffer("queue", queue)
        self.register_buffer("oldest", paddle.zeros([1], dtype="int64"))  # the row that goes next
        self.waiting: list[paddle.Tensor] = []  # this step's keys, which are no negatives of their own step

    def outputs(self, views, labels):
        _, queries = self.encoder.project(views[0])
        with paddle.no_grad():
            keys = unit_rows(self.key_encoder.project(views[1])[1])
        return {"queries": queries, "keys": keys}

    def losses(self, outputs, labels):
        queries, keys = outputs["queries"], outputs["keys"]
        self.waiting = [keys]
        loss = info_nce_loss(queries, keys, self.queue, self.temperature)
        self.note(
            **contrast_levels("info_nce", 1 + self.queue.shape[0], self.temperature),
            contrastive_accuracy=self._accuracy(queries, keys),
        )
        self.note_embeddings("embedding", [queries, keys])
        return {"info_nce": loss}

    @paddle.no_grad()
    def after_step(self):
        ema_update(self.key_encoder, self.encoder, self.momentum, buffers=False)
        size = self.queue.shape[0]
        for keys in self.waiting:
            keys = keys[-size:]
            rows = (self.oldest + paddle.arange(keys.shape[0])) % size
            self.queue.scatter_(rows, keys)
            paddle.assign((self.oldest + keys.shape[0]) % size, output=self.oldest)
        self.waiting = []

    @paddle.no_grad()
    def _accuracy(self, queries: paddle.Tensor, keys: paddle.Tensor) -> paddle.Tensor:
        """Share of queries that are more similar to their own key than to every row of the queue."""
        queries = unit_rows(queries)
        to_queue = paddle.matmul(queries, self.queue, transpose_y=True).max(axis=1)
        return ((queries * keys).sum(axis=1) > to_queue).astype("float32").mean()

    def deployed(self):
        return self.encoder
