"""Pictures without colour."""

from __future__ import annotations

import cv2
import numpy as np
import paddle

from ppcds.transforms.transform import RandomTransform, change_rows

GREY_WEIGHTS = (0.299, 0.587, 0.114)  # luma of red, green and blue, ITU-R BT.601


class RandomGrayscale(RandomTransform):
    """With probability `p`, replace the colours by three equal channels of their grey.

    Takes an RGB array [H, W, 3] or a Paddle tensor [3, H, W], as ToTensor makes it, and returns the same
    kind.
    """

    draws = 1

    def __init__(self, p: float = 0.2, keys=None):
        super().__init__(keys)
        if not 0 <= p <= 1:
            raise ValueError(f"RandomGrayscale needs p from 0 to 1, not {p}")
        self.p = p

    def parameters(self, uniforms, heights, widths):
        """float64 [N, 1]: 1 takes the colours away."""
        return (uniforms < self.p).astype(float)

    def apply(self, image, row):
        if not row[0]:
            return image
        if isinstance(image, paddle.Tensor):
            return grey_of(image.unsqueeze(0)).expand_as(image.unsqueeze(0)).squeeze(0)
        return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)

    def apply_on_device(self, images, parameters):
        rows = np.flatnonzero(parameters[:, 0])
        return change_rows(images, rows, lambda some: grey_of(some).round().expand_as(some))


def grey_of(images: paddle.Tensor) -> paddle.Tensor:
    """The grey [N, 1, H, W] of images [N, 3, H, W]."""
    weights = paddle.to_tensor(GREY_WEIGHTS, dtype=images.dtype).reshape([3, 1, 1])
    return (images * weights).sum(1, keepdim=True)
