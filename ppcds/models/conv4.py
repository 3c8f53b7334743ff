"""The small encoder of the Keras example "Semi-supervised image classification using contrastive pretraining
with SimCLR" (keras.io/examples/vision/semisupervised_simclr)."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.nn.initializer import XavierUniform

from ppcds.errors import UserError
from ppcds.models.backbone import Backbone


class Conv4(Backbone):
    """Four 3x3 convolutions of stride 2 without padding, each a stage, then a hidden layer on all of the map.

    width: channels of every stage and of the hidden layer (128 in the example).  size: height and width of
    the images, which the hidden layer depends on.  Weights start as Keras': Glorot uniform, biases 0.
    """

    def __init__(
        self,
        num_classes: int = 10,
        width: int = 128,
        stem: str = "small",
        size: tuple[int, int] | None = None,
    ):
        super().__init__(num_classes, stem)
        if stem != "small":
            raise UserError("model.stem: conv4 has one stem: use small")
        if size is None:
            raise UserError("conv4 needs the images' size (height, width): data.size of the recipe")
        if min(size) < 31:
            raise UserError(f"images of {size[0]}x{size[1]} px are too small: conv4 needs 31 px on a side")
        self.size = tuple(size)
        self.stage_channels = [width] * 4
        self.feature_dim = width
        glorot = {"weight_attr": XavierUniform()}
        self.convolutions = nn.LayerList(
            [nn.Conv2D(inputs, width, 3, stride=2, **glorot) for inputs in (3, width, width, width)]
        )
        height, breadth = size
        for _ in self.convolutions:
            height, breadth = (height - 1) // 2, (breadth - 1) // 2
        self.hidden = nn.Linear(width * height * breadth, width, **glorot)
        self.fc = nn.Linear(width, num_classes, **glorot) if num_classes else None

    def enter(self, images: paddle.Tensor) -> paddle.Tensor:
        return images

    def stage(self, number: int, features: paddle.Tensor) -> paddle.Tensor:
        return F.relu(self.convolutions[number - 1](features))

    def check_size(self, images: paddle.Tensor) -> None:
        """Raises UserError for images of another size than the network was built for."""
        if paddle.in_dynamic_mode() and tuple(images.shape[2:]) != self.size:
            found, built = ("x".join(str(n) for n in size) for size in (images.shape[2:], self.size))
            raise UserError(f"images of {found} px in a conv4 built for {built} px")

    def features(self, last_stage: paddle.Tensor) -> paddle.Tensor:
        """Last stage's map [N, width, H, W] -> hidden layer [N, width]."""
        return F.relu(self.hidden(last_stage.flatten(1)))
