"""The network of Contrastive Deep Supervision (Zhang et al. 2022, arXiv:2207.05306)."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import nn

from ppcds.errors import UserError
from ppcds.models.heads import StageHead
from ppcds.models.initialise import initialise


class CDSNetwork(nn.Layer):
    """A backbone with four stages and, for training, projection heads on them.

    backbone: any of BACKBONES.  What is evaluated and exported is `backbone` alone.
    stages: those that have a head; the published code has all four, the paper's equation the first three.
    mlp: widths of a projection head after each of them, [512, 128] for instance; None for none, as published.
    The head of stage i is `heads[str(i - 1)]`.
    """

    def __init__(
        self,
        backbone: nn.Layer,
        stages: Sequence[int] = (1, 2, 3, 4),
        mlp: Sequence[int] | None = None,
    ):
        super().__init__()
        if not stages or len(set(stages)) < len(stages) or not set(stages) <= {1, 2, 3, 4}:
            raise UserError(f"stages {list(stages)}: heads stand on one or more of the stages 1, 2, 3, 4")
        self.backbone = backbone
        self.num_classes = backbone.num_classes
        self.stage_channels = list(backbone.stage_channels)
        self.stages = sorted(stages)
        self.heads = nn.LayerDict(
            {str(stage - 1): StageHead(self.stage_channels[stage - 1 :], mlp) for stage in self.stages}
        )
        initialise(self.heads)

    def forward(self, images: paddle.Tensor, with_embeddings: bool = True):
        """images [N, 3, H, W] -> (logits, embeddings), or logits [N, num_classes] alone.

        embeddings: L2-normalised [N, stage_channels[-1], or mlp[-1]] of stage 4, 3, 2, 1, or of those that
        have a head, in this (the notebook's) order.  Without embeddings the heads are not run.
        """
        stages = self.stage_features(images)
        logits = self.classify(stages[-1])
        if not with_embeddings:
            return logits
        return logits, self.embed(stages)

    def embed(self, stages: list[paddle.Tensor]) -> list[paddle.Tensor]:
        """The four stages' features -> embeddings of the stages with a head, last to first."""
        return [self.heads[str(stage - 1)](stages[stage - 1]) for stage in reversed(self.stages)]

    def stage_features(self, images: paddle.Tensor) -> list[paddle.Tensor]:
        return self.backbone.stage_features(images)

    def classify(self, last_stage: paddle.Tensor) -> paddle.Tensor:
        return self.backbone.classify(last_stage)
