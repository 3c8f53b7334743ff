"""Bootstrap your own latent (Grill et al. 2020, arXiv:2006.07733)."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import paddle
from pydantic import Field

from ppcds.losses import byol_loss
from ppcds.methods.ema import copy_without_gradient, ema_update
from ppcds.methods.method import Method
from ppcds.models import Encoder, ProjectionHead
from ppcds.models.running_statistics import hold_statistics


class BYOL(Method):
    """A predictor on one view's projection foretells the other view's by a target network, both ways.

    The target starts as a copy and follows the online encoder after each step, running statistics included:
    target <- tau * target + (1 - tau) * online.
    predictor_width: of the predictor's hidden layer (the paper: 4096).
    tau_schedule: "cosine" raises tau from `tau` (the paper: 0.996) to 1 at the run's end, eq. of section 3.2.
    The loss is the sum of both directions, 0 to 8; unrelated directions give 4.
    """

    views_used = 2
    schedules = ("tau_schedule",)
    representation = True

    def __init__(
        self,
        encoder: Encoder,
        predictor_width: Annotated[int, Field(gt=0)] = 2048,
        tau: Annotated[float, Field(ge=0, le=1)] = 0.99,
        tau_schedule: Literal["constant", "cosine"] = "constant",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        width = encoder.projection.out_dim
        self.predictor = ProjectionHead(width, [predictor_width, width], batch_norm="hidden")
        self.target = copy_without_gradient(encoder)
        # In training it normalises by its batch, as the online network does, but its own running statistics
        # stay as after_step leaves them.
        hold_statistics(self.target)
        self.tau = tau
        self.tau_schedule = tau_schedule

    def outputs(self, views, labels):
        # Each view in a pass of its own, as in the authors' code: batch norm sees one kind of view at a time.
        projections = [self.encoder.project(view)[1] for view in views]
        predictions = [self.predictor(projection) for projection in projections]
        with paddle.no_grad():
            targets = [self.target.project(view)[1] for view in views]
        rows = {"projections": projections, "predictions": predictions, "targets": targets}
        return {name: paddle.stack(of_views, axis=1) for name, of_views in rows.items()}

    def losses(self, outputs, labels):
        predictions, targets = (paddle.unbind(outputs[name], axis=1) for name in ("predictions", "targets"))
        loss = byol_loss(predictions[0], targets[1]) + byol_loss(predictions[1], targets[0])
        self.note(tau=self.tau_now())
        self.note_embeddings("embedding", paddle.unbind(outputs["projections"], axis=1))
        return {"byol": loss}

    def after_step(self):
        ema_update(self.target, self.encoder, self.tau_now(), buffers=True)

    def tau_now(self) -> float:
        """tau at this point of the run."""
        if self.tau_schedule == "constant":
            return self.tau
        return 1 - (1 - self.tau) * (math.cos(math.pi * self.progress) + 1) / 2

    def frozen(self):
        return {"target": self.target} if self.tau == 1 else {}

    def deployed(self):
        return self.encoder
