"""Augmentation of a whole batch by tensor operations, on the device that trains."""

from __future__ import annotations

import math
from typing import Annotated

import paddle
import paddle.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field


class BatchedAugmentation(BaseModel):
    """Flip, translate, zoom in, and change colours by a random matrix: images [N, 3, H, W] from 0 to 1.

    min_area: the smallest share of each side's square that a zoom leaves; with z = 1 - sqrt(min_area) images
    move by up to z/2 of a side, reflected at the border, and each side is scaled by 1 - z to 1.
    brightness: the factor shared by the channels is uniform in 1 ± brightness.  jitter: every entry of the
    3x3 colour matrix changes by a number uniform in ± jitter. Values end clipped to 0 and 1.
    Drawn from Paddle's generator.

    Source: the Keras example semisupervised_simclr (get_augmenter, RandomColorAffine). The three moves are
    one affine map here, so that pixels are interpolated once and not twice.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    min_area: Annotated[float, Field(gt=0, le=1)]
    brightness: Annotated[float, Field(ge=0)]
    jitter: Annotated[float, Field(ge=0)]

    def __call__(self, images: paddle.Tensor) -> paddle.Tensor:
        return self._recolour(self._move(images))

    def _move(self, images: paddle.Tensor) -> paddle.Tensor:
        count, zoom = images.shape[0], 1 - math.sqrt(self.min_area)
        flip = paddle.where(paddle.rand([count]) < 0.5, -paddle.ones([count]), paddle.ones([count]))
        scale = 1 - zoom * paddle.rand([2, count])  # of x and y
        shift = zoom * (2 * paddle.rand([2, count]) - 1)  # z/2 of a side that is 2 long
        zero = paddle.zeros([count])
        rows = [flip * scale[0], zero, flip * shift[0], zero, scale[1], shift[1]]
        grid = F.affine_grid(
            paddle.stack(rows, axis=1).reshape([count, 2, 3]), images.shape, align_corners=False
        )
        return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)

    def _recolour(self, images: paddle.Tensor) -> paddle.Tensor:
        count = images.shape[0]
        factor = 1 + self.brightness * (2 * paddle.rand([count, 1, 1]) - 1)
        change = self.jitter * (2 * paddle.rand([count, 3, 3]) - 1)
        colours = factor * paddle.eye(3) + change  # [N, from, to]
        return paddle.einsum("nchw,ncd->ndhw", images, colours).clip(0, 1)
