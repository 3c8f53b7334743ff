"""Contrastive Deep Supervision (Zhang et al., ECCV 2022, arXiv:2207.05306)."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Optional, Union

import paddle
from pydantic import BeforeValidator, Field

from ppcds.errors import UserError
from ppcds.losses import contrast_levels, cross_entropy, share_with_classmate, supcon_loss
from ppcds.methods.method import Method, concat_views, stack_views
from ppcds.models import CDSNetwork
from ppcds.options import not_boolean


def _one_or_each(value):
    """A validator with one sentence for what pydantic would tell of each kind that a Union allows."""
    numbers = value if isinstance(value, list) else [value]
    try:
        numbers = [float(not_boolean(number)) for number in numbers]
    except (TypeError, ValueError):
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("should be a number, or a list with one for each of method.stages")
    return numbers if isinstance(value, list) else numbers[0]


OneOrEach = Annotated[Union[float, list[float]], BeforeValidator(_one_or_each)]
Stages = tuple[Annotated[int, Field(ge=1, le=4)], ...]
Widths = tuple[Annotated[int, Field(gt=0)], ...]


class ContrastiveDeepSupervision(Method):
    """Cross entropy of view 1 + weight x contrastive loss of both views at each of the stages.

    contrast: "supcon" takes images of one class as positives, "simclr" the two views of one image alone.
    weight, temperature: of the contrastive losses; one number, or a list with one for each of `stages`.
    stages: where a contrast stands. The paper's equation stops at stage 3, its code supervises stage 4 too,
    and so do we.  mlp: widths of a projection head after each stage's own; None for none, as published.
    classified_views: 2 puts cross entropy on both views.
    weight_schedule: "cosine" takes the contrast's weight from its value to 0 over the run.
    softmax_twice: the notebook's error, softmax before a cross entropy that applies softmax again.
    Unlabelled images (-1) take part in the contrast alone, with their other view as only positive.
    Source: train.py of the official code's CIFAR folder.
    """

    views_used = 2
    schedules = ("weight_schedule",)

    def __init__(
        self,
        backbone: paddle.nn.Layer,
        contrast: Literal["supcon", "simclr"] = "supcon",
        weight: OneOrEach = 0.1,
        temperature: OneOrEach = 0.07,
        stages: Stages = (1, 2, 3, 4),
        mlp: Optional[Widths] = None,
        classified_views: Literal[1, 2] = 1,
        weight_schedule: Literal["constant", "cosine"] = "constant",
        softmax_twice: bool = False,
    ) -> None:
        super().__init__()
        if not stages or len(set(stages)) < len(stages):
            raise UserError(f"method.stages: {list(stages)} should be one or more of 1, 2, 3, 4, each once")
        self.weight = _of_each_stage("weight", weight, stages)
        self.temperature = _of_each_stage("temperature", temperature, stages)
        if min(self.weight.values()) < 0:
            raise UserError(f"method.weight: {weight} should not be below 0")
        if min(self.temperature.values()) <= 0:
            raise UserError(f"method.temperature: {temperature} should be above 0")
        self.network = CDSNetwork(backbone, stages, mlp)
        self.contrast = contrast
        self.classified_views = classified_views
        self.weight_schedule = weight_schedule
        self.softmax_twice = softmax_twice

    def outputs(self, views, labels):
        # One pass over both views: batch norm sees them as one batch, as in the official code.
        return outputs_of_stages(self.network, views)

    def losses(self, outputs, labels):
        logits = concat_views(outputs["logits"][:, : self.classified_views])
        classes = paddle.concat([labels] * self.classified_views)
        parts = {"cross_entropy": cross_entropy(logits, classes, self.softmax_twice)}
        share = (1 + math.cos(math.pi * self.progress)) / 2 if self.weight_schedule == "cosine" else 1.0
        positives = labels if self.contrast == "supcon" else None
        for stage in self.stages():
            name, weight = f"contrastive_stage{stage}", self.weight[stage] * share
            contrast = supcon_loss(both_views(outputs, stage), positives, self.temperature[stage])
            parts[name] = weight * contrast
            self.note(**contrast_levels(name, 2 * len(labels) - 1, self.temperature[stage], weight))
        if self.contrast == "supcon":
            self.note(share_with_classmate=share_with_classmate(labels))
        last = self.stages()[0]
        self.note_embeddings(f"stage{last}", both_views(outputs, last))
        return parts

    def stages(self) -> list[int]:
        """The stages with a head, last to first as the network gives their embeddings."""
        return self.network.stages[::-1]

    def deployed(self):
        return self.network.backbone


def outputs_of_stages(network: CDSNetwork, views: list[paddle.Tensor]) -> dict[str, paddle.Tensor]:
    """logits [N, 2, C], and stage4, stage3, ... [N, 2, D]: the embeddings of each stage with a head."""
    logits, embeddings = network(paddle.concat(views))
    stages = {f"stage{stage}": rows for stage, rows in zip(network.stages[::-1], embeddings)}
    return {name: stack_views(rows, len(views)) for name, rows in {"logits": logits, **stages}.items()}


def both_views(outputs: dict[str, paddle.Tensor], stage: int) -> list[paddle.Tensor]:
    """The embeddings of a stage, [N, D] of each view."""
    return paddle.unbind(outputs[f"stage{stage}"], axis=1)


def _of_each_stage(name: str, value: OneOrEach, stages: Stages) -> dict[int, float]:
    """{stage: its number}."""
    values = list(value) if isinstance(value, (list, tuple)) else [value] * len(stages)
    if len(values) != len(stages):
        raise UserError(f"method.{name}: {len(values)} numbers for the {len(stages)} stages {list(stages)}")
    return dict(zip(stages, values))
