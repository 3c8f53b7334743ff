"""A linear classifier on a frozen encoder: linear evaluation, and stage two of SupCon."""

from __future__ import annotations

import paddle
from paddle import nn

from ppcds.losses import cross_entropy
from ppcds.methods.method import Method


class LinearClassifier(Method):
    """Cross entropy that trains `backbone.fc` alone; all below it stays as it was and in evaluation mode.

    Source: main_linear.py of the SupCon authors' code; section 4.2 of SimCLR (arXiv:2002.05709).
    """

    def __init__(self, backbone: nn.Layer) -> None:
        super().__init__()
        self.backbone = backbone
        for layer in self.frozen().values():
            for parameter in layer.parameters():
                parameter.stop_gradient = True
        self.train()

    def outputs(self, views, labels):
        (images,) = views
        with paddle.no_grad():
            features = self.backbone.encode(images)
        return {"logits": self.backbone.fc(features)}

    def losses(self, outputs, labels):
        return {"cross_entropy": cross_entropy(outputs["logits"], labels)}

    def train(self):
        """Training mode, except for the encoder: its batch norm goes on using its running statistics."""
        super().train()
        for layer in self.backbone.sublayers(include_self=True):
            layer.training = False

    def frozen(self):
        fc = self.backbone.fc
        below = {name: layer for name, layer in self.backbone.named_children() if layer is not fc}
        return {"encoder": nn.LayerDict(below)}

    def deployed(self):
        return self.backbone
