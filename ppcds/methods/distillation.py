"""Distillation of a teacher's predictions (SimCLR v2, Chen et al. 2020, arXiv:2006.10029, eq. 2 and 3)."""

from __future__ import annotations

from typing import Annotated

import paddle
from paddle import nn
from pydantic import Field

from ppcds.errors import UserError
from ppcds.losses import cross_entropy, distillation_loss
from ppcds.methods.freeze import freeze
from ppcds.methods.method import Method


class Distillation(Method):
    """(1 - alpha) x cross entropy of labelled rows + alpha x distillation loss of all rows.

    teacher: a method whose deployed network gives logits of the same classes; it is never changed.
    temperature: of both softmaxes.  alpha: 1 is eq. 2 and needs no labels, below 1 it is eq. 3.
    Raises UserError if the teacher has another number of classes.
    """

    def __init__(
        self,
        backbone: nn.Layer,
        teacher: Method,
        temperature: Annotated[float, Field(gt=0)] = 1.0,
        alpha: Annotated[float, Field(ge=0, le=1)] = 1.0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.temperature = temperature
        self.alpha = alpha
        network = teacher.deployed()
        classes = getattr(network, "num_classes", 0)  # an encoder has none
        if classes != backbone.num_classes:
            raise UserError(
                f"method.teacher_weights: the teacher tells {classes} classes apart and the student "
                f"{backbone.num_classes}: use a teacher that was trained on these classes"
            )
        # Not a sublayer: neither checkpoints nor the optimiser hold it, and train() leaves its mode alone.
        self.outside = (freeze(network),)

    def outputs(self, views, labels):
        (images,) = views
        (teacher,) = self.outside
        with paddle.no_grad():
            teacher_logits = teacher(images)
        return {"logits": self.backbone(images), "teacher_logits": teacher_logits}

    def losses(self, outputs, labels):
        student_logits, teacher_logits = outputs["logits"], outputs["teacher_logits"]
        parts = {}
        if self.alpha < 1:
            parts["cross_entropy"] = (1 - self.alpha) * cross_entropy(student_logits, labels)
        if self.alpha > 0:
            loss = distillation_loss(student_logits, teacher_logits, self.temperature)
            parts["distillation"] = self.alpha * loss
        agree = student_logits.argmax(axis=1) == teacher_logits.argmax(axis=1)
        self.note(teacher_agreement=agree.astype("float32").mean())
        return parts

    def frozen(self):
        return {"teacher": self.outside[0]}

    def deployed(self):
        return self.backbone
