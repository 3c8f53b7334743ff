"""Plain cross entropy, on one view or on several."""

from __future__ import annotations

from typing import Annotated, Optional

import paddle
from pydantic import Field

from ppcds.losses import cross_entropy
from ppcds.methods.method import Method, concat_views, stack_views
from ppcds.transforms.batched import BatchedAugmentation


class Supervised(Method):
    """Cross entropy on `views` views of each image: the baseline that contrastive methods are held against.

    views: 1, or 2 as the control that sees as many images a step as a contrastive method does.
    softmax_twice: the notebook's error, softmax before a cross entropy that applies softmax again.
    augmentation: of the whole batch, for views that are plain images from 0 to 1 (the Keras example).
    From weights of a pretraining run (model.pretrained) this is fine-tuning.
    """

    def __init__(
        self,
        backbone: paddle.nn.Layer,
        views: Annotated[int, Field(gt=0)] = 1,
        softmax_twice: bool = False,
        augmentation: Optional[BatchedAugmentation] = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.views_used = views
        self.softmax_twice = softmax_twice
        self.augmentation = augmentation

    def make_views(self, views):
        return [self.augmentation(view) for view in views] if self.augmentation else views

    def outputs(self, views, labels):
        logits = self.backbone(paddle.concat(views))
        return {"logits": stack_views(logits, len(views))}

    def losses(self, outputs, labels):
        logits = concat_views(outputs["logits"])
        repeated = paddle.concat([labels] * outputs["logits"].shape[1])
        return {"cross_entropy": cross_entropy(logits, repeated, self.softmax_twice)}

    def deployed(self):
        return self.backbone
