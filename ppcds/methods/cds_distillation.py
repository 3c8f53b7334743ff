"""Distillation between two networks of Contrastive Deep Supervision (Zhang et al. 2022, arXiv:2207.05306)."""

from __future__ import annotations

from typing import Annotated, Literal, Optional

import paddle
from paddle import nn
from pydantic import Field

from ppcds.errors import UserError
from ppcds.losses import distillation_loss, embedding_distance, similarity_distillation_loss
from ppcds.methods.cds import (
    ContrastiveDeepSupervision,
    OneOrEach,
    Stages,
    Widths,
    both_views,
    outputs_of_stages,
)
from ppcds.methods.freeze import freeze
from ppcds.methods.method import Method, concat_views
from ppcds.models import CDSNetwork
from ppcds.models.initialise import initialise
from ppcds.models.running_statistics import hold_statistics


class CDSDistillation(Method):
    """CDS loss of the student + what it lacks of its teacher: at each stage, and in the classes of view 1.

    teacher: a method with a CDSNetwork of the same classes, which is never changed.
    contrast ... weight_schedule: of the student's CDS loss, see ContrastiveDeepSupervision.
    embedding_weight: of each stage's term.  stage_target: "embeddings", the distance between the teacher's
    embedding and the student's, which a linear layer adapts where its width differs; or "similarities", the
    notebook's reading: KL of the contrastive similarities of the batch, at the stage's `temperature`.
    distance_form: "rows", the mean of the rows' distances, or "batch", one Frobenius norm over both views.
    teacher_mode: "train" lets the teacher normalise by the batch; its running statistics stay even then.
    logits_temperature: of the soft cross entropy, whose weight is 1.
    Source: CIFAR/distill.py of the official code, which is distance_form "batch" and teacher_mode "train";
    its ImageNet code has the weights 0.5 and the temperature 1.
    Raises UserError for a teacher without these heads or with other classes.
    """

    views_used = 2
    schedules = ("weight_schedule",)

    def __init__(
        self,
        backbone: nn.Layer,
        teacher: Method,
        contrast: Literal["supcon", "simclr"] = "supcon",
        weight: OneOrEach = 0.1,
        temperature: OneOrEach = 0.07,
        stages: Stages = (1, 2, 3, 4),
        mlp: Optional[Widths] = None,
        classified_views: Literal[1, 2] = 1,
        weight_schedule: Literal["constant", "cosine"] = "constant",
        embedding_weight: Annotated[float, Field(ge=0)] = 0.1,
        stage_target: Literal["embeddings", "similarities"] = "embeddings",
        distance_form: Literal["rows", "batch"] = "rows",
        teacher_mode: Literal["eval", "train"] = "eval",
        logits_temperature: Annotated[float, Field(gt=0)] = 3.0,
    ) -> None:
        super().__init__()
        self.cds = ContrastiveDeepSupervision(
            backbone, contrast, weight, temperature, stages, mlp, classified_views, weight_schedule
        )
        teacher_network = _network_of(teacher, self.network)
        freeze(teacher_network)
        if teacher_mode == "train":
            hold_statistics(teacher_network)
            teacher_network.train()
        # Not a sublayer: neither checkpoints nor the optimiser hold it, and train() leaves its mode alone.
        self.outside = (teacher_network,)
        self.adapters = nn.LayerDict()
        own, wanted = _embedding_width(self.network), _embedding_width(teacher_network)
        if stage_target == "embeddings" and own != wanted:
            self.adapters.update({str(stage): nn.Linear(own, wanted) for stage in self.cds.stages()})
            initialise(self.adapters)
        self.embedding_weight = embedding_weight
        self.stage_target = stage_target
        self.distance_form = distance_form
        self.logits_temperature = logits_temperature

    @property
    def network(self) -> CDSNetwork:
        """The student's, so that it can be a teacher in its turn."""
        return self.cds.network

    def outputs(self, views, labels):
        with paddle.no_grad():
            taught = outputs_of_stages(self.outside[0], views)
        return {
            **self.cds.outputs(views, labels),
            **{f"teacher_{name}": rows for name, rows in taught.items()},
        }

    def losses(self, outputs, labels):
        taught = {n.removeprefix("teacher_"): rows for n, rows in outputs.items() if n.startswith("teacher_")}
        self.cds.progress = self.progress
        parts = self.cds.losses(outputs, labels)
        self.note(**self.cds.noted)
        for stage in self.cds.stages():
            name, loss = self._stage_loss(stage, outputs, taught)
            parts[name] = self.embedding_weight * loss
        logits, teacher_logits = outputs["logits"][:, 0], taught["logits"][:, 0]  # of view 1
        parts["soft_cross_entropy"] = distillation_loss(logits, teacher_logits, self.logits_temperature)
        agree = logits.argmax(axis=1) == teacher_logits.argmax(axis=1)
        self.note(teacher_agreement=agree.astype("float32").mean())
        return parts

    def _stage_loss(self, stage: int, student: dict[str, paddle.Tensor], teacher: dict[str, paddle.Tensor]):
        """(name, loss) of what a stage's embeddings of both views lack of the teacher's."""
        if self.stage_target == "similarities":
            pair = both_views(student, stage), both_views(teacher, stage)
            return f"similarity_stage{stage}", similarity_distillation_loss(
                *pair, self.cds.temperature[stage]
            )
        own, wanted = (concat_views(outputs[f"stage{stage}"]) for outputs in (student, teacher))
        if len(self.adapters):
            own = self.adapters[str(stage)](own)
        return f"distance_stage{stage}", embedding_distance(own, wanted, self.distance_form)

    def frozen(self):
        return {"teacher": self.outside[0]}

    def deployed(self):
        return self.network.backbone


def _network_of(teacher: Method, student: CDSNetwork) -> CDSNetwork:
    """The teacher's network, if this student can learn from it."""
    network, key = getattr(teacher, "network", None), "method.teacher_weights"
    if not isinstance(network, CDSNetwork):
        raise UserError(
            f"{key}: the teacher has no heads on its stages: name the latest.safetensors of a run of cds"
        )
    if network.num_classes != student.num_classes:
        raise UserError(
            f"{key}: the teacher tells {network.num_classes} classes apart and the student "
            f"{student.num_classes}: use a teacher that was trained on these classes"
        )
    missing = sorted(set(student.stages) - set(network.stages))
    if missing:
        raise UserError(
            f"{key}: the teacher has no head on the stages {missing}: leave them out of method.stages"
        )
    return network


def _embedding_width(network: CDSNetwork) -> int:
    head = network.heads[str(network.stages[-1] - 1)]
    return network.stage_channels[-1] if head.mlp is None else head.mlp.out_dim
