"""Augmentation of a whole batch by tensor operations, on the device that trains."""

from __future__ import annotations

import math
from typing import Annotated

import paddle
import paddle.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field

from ppcds.distributed import num_ranks, rank


class BatchedAugmentation(BaseModel):
    """Flip, translate, zoom in, and change colours by a random matrix: images [N, 3, H, W] from 0 to 1.

    min_area: the smallest share of each side's square that a zoom leaves; with z = 1 - sqrt(min_area) images
    move by up to z/2 of a side, reflected at the border, and each side is scaled by 1 - z to 1.
    brightness: the factor shared by the channels is uniform in 1 ± brightness.  jitter: every entry of the
    3x3 colour matrix changes by a number uniform in ± jitter. Values end clipped to 0 and 1.
    Drawn from Paddle's generator, on each of several ranks for the batch of all of them.

    Source: the Keras example semisupervised_simclr (get_augmenter, RandomColorAffine). The three moves are
    one affine map here, so that pixels are interpolated once and not twice.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    min_area: Annotated[float, Field(gt=0, le=1)]
    brightness: Annotated[float, Field(ge=0)]
    jitter: Annotated[float, Field(ge=0)]

    def __call__(self, images: paddle.Tensor) -> paddle.Tensor:
        drawn = paddle.split(paddle.rand([num_ranks() * images.shape[0], 15]), num_ranks())[rank()]
        flip, scale, shift, factor, change = paddle.split(drawn, [1, 2, 2, 1, 9], axis=1)
        return self._recolour(self._move(images, flip, scale, shift), factor, change)

    def _move(self, images, flip, scale, shift) -> paddle.Tensor:
        """flip [N, 1]; scale, shift [N, 2], of x and y: all uniform in 0 to 1."""
        zoom = 1 - math.sqrt(self.min_area)
        mirror = paddle.where(flip < 0.5, -paddle.ones_like(flip), paddle.ones_like(flip))
        (width, height), (right, down) = (paddle.split(pair, 2, axis=1) for pair in (scale, shift))
        width, height = 1 - zoom * width, 1 - zoom * height
        right, down = zoom * (2 * right - 1), zoom * (2 * down - 1)  # z/2 of a side that is 2 long
        zero = paddle.zeros_like(flip)
        affine = paddle.concat([mirror * width, zero, mirror * right, zero, height, down], axis=1)
        grid = F.affine_grid(affine.reshape([-1, 2, 3]), images.shape, align_corners=False)
        return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)

    def _recolour(self, images, factor, change) -> paddle.Tensor:
        """factor [N, 1], change [N, 9]: uniform in 0 to 1."""
        factor = 1 + self.brightness * (2 * factor.unsqueeze(2) - 1)
        change = self.jitter * (2 * change.reshape([-1, 3, 3]) - 1)
        colours = factor * paddle.eye(3) + change  # [N, from, to]
        return paddle.einsum("nchw,ncd->ndhw", images, colours).clip(0, 1)
