"""Cutout: square holes in an image (DeVries and Taylor 2017, arXiv:1708.04552)."""

from __future__ import annotations

import numpy as np
import paddle
from paddle.vision.transforms import BaseTransform


class Cutout(BaseTransform):
    """Fill `n_holes` squares of `length` pixels with 0.

    Takes a float image [C, H, W], an array or a Paddle tensor, and returns a new one of the same kind. Each
    hole's centre is a uniform pixel, so what reaches over the border is clipped and holes may overlap.
    Drawn from NumPy's generator. Raises ValueError for fewer than one hole or pixel.
    """

    def __init__(self, n_holes: int, length: int, keys=None):
        super().__init__(keys)
        if n_holes < 1 or length < 1:
            raise ValueError(f"Cutout needs n_holes and length of at least 1, not {n_holes} and {length}")
        self.n_holes = n_holes
        self.length = length

    def _apply_image(self, image):
        if isinstance(image, paddle.Tensor):
            return paddle.to_tensor(self._cut(image.numpy()), place=image.place)
        return self._cut(image)

    def _cut(self, image: np.ndarray) -> np.ndarray:
        image = image.copy()
        height, width = image.shape[-2:]
        for _ in range(self.n_holes):
            # an even hole has no middle pixel: it reaches one pixel further up and left, as in published code
            top = np.random.randint(height) - self.length // 2
            left = np.random.randint(width) - self.length // 2
            image[..., max(top, 0) : top + self.length, max(left, 0) : left + self.length] = 0
        return image
