"""The network of deep supervision (Lee et al. 2015, arXiv:1409.5185), the baseline of CDS."""

from __future__ import annotations

import paddle
from paddle import nn

from ppcds.models.heads import AuxiliaryClassifier
from ppcds.models.initialise import initialise


class DeepSupervisionNetwork(nn.Layer):
    """A backbone and, for training, an auxiliary classifier on each of its first three stages.

    The classifiers reduce their stage as CDS' heads do. What is evaluated and exported is `backbone` alone.
    """

    def __init__(self, backbone: nn.Layer):
        super().__init__()
        self.backbone = backbone
        self.num_classes = backbone.num_classes
        channels = list(backbone.stage_channels)
        self.classifiers = nn.LayerList(
            [AuxiliaryClassifier(channels[stage:], backbone.num_classes) for stage in range(3)]
        )
        initialise(self.classifiers)

    def forward(self, images: paddle.Tensor) -> list[paddle.Tensor]:
        """images [N, 3, H, W] -> logits [N, num_classes] of the backbone, and of stage 3, 2, 1."""
        stages = self.backbone.stage_features(images)
        auxiliary = [classifier(stage) for classifier, stage in zip(self.classifiers, stages)]
        return [self.backbone.classify(stages[-1]), *reversed(auxiliary)]
