"""The network of Contrastive Deep Supervision (Zhang et al. 2022, arXiv:2207.05306)."""

from __future__ import annotations

import paddle
from paddle import nn

from ppcds.models.heads import StageHead
from ppcds.models.initialise import initialise


class CDSNetwork(nn.Layer):
    """A backbone with four stages and, for training, a projection head on each of them.

    backbone: anything with `stage_features`, `classify`, `stage_channels` (doubling) and `num_classes`.
    What is evaluated and exported is `backbone` alone.
    """

    def __init__(self, backbone: nn.Layer):
        super().__init__()
        self.backbone = backbone
        self.num_classes = backbone.num_classes
        self.stage_channels = list(backbone.stage_channels)
        blocks = (3, 2, 1, 0)  # as many halvings as lie between the stage and the last one
        self.heads = nn.LayerList([StageHead(c, n) for c, n in zip(self.stage_channels, blocks)])
        initialise(self.heads)

    def forward(self, images: paddle.Tensor, with_embeddings: bool = True):
        """images [N, 3, H, W] -> (logits, embeddings), or logits [N, num_classes] alone.

        embeddings: L2-normalised [N, stage_channels[-1]] of stage 4, 3, 2, 1, in this (the notebook's) order.
        Without embeddings the heads are not run.
        """
        stages = self.stage_features(images)
        logits = self.classify(stages[-1])
        if not with_embeddings:
            return logits
        return logits, self.embed(stages)

    def embed(self, stages: list[paddle.Tensor]) -> list[paddle.Tensor]:
        """The four stages' features -> embeddings of stage 4, 3, 2, 1."""
        return [head(stage) for head, stage in zip(self.heads, stages)][::-1]

    def stage_features(self, images: paddle.Tensor) -> list[paddle.Tensor]:
        return self.backbone.stage_features(images)

    def classify(self, last_stage: paddle.Tensor) -> paddle.Tensor:
        return self.backbone.classify(last_stage)
