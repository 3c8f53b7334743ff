"""Random crop of a padded image."""

from __future__ import annotations

import random

import cv2
import numpy as np
from paddle.vision.transforms import BaseTransform


class RandomCrop(BaseTransform):
    """Pad an image [H, W, 3] with `fill` by `padding` pixels on each side and cut `size` = (H, W) out of it.

    size: None keeps the image's own, a number is a square.  fill: one level for all channels, or three.
    Paddle's RandomCrop gives a single fill level to the first channel only and 0 to the others.
    Drawn from Python's generator. Raises ValueError without size and padding, and for too small an image.
    """

    def __init__(self, size=None, padding: int = 0, fill=0, keys=None):
        super().__init__(keys)
        if size is None and not padding:
            raise ValueError("without padding or size it would leave the image as it is")
        self.size = (size, size) if isinstance(size, int) else size
        self.padding = padding
        self.fill = (fill, fill, fill) if isinstance(fill, (int, float)) else tuple(fill)

    def _apply_image(self, image: np.ndarray) -> np.ndarray:
        height, width = self.size or image.shape[:2]
        pad = self.padding
        if pad:
            image = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=self.fill)
        spare_rows, spare_columns = image.shape[0] - height, image.shape[1] - width
        if spare_rows < 0 or spare_columns < 0:
            padded = f"{image.shape[0]}x{image.shape[1]}"
            raise ValueError(f"RandomCrop: no room for {height}x{width} in an image of {padded}")
        top, left = random.randint(0, spare_rows), random.randint(0, spare_columns)
        return image[top : top + height, left : left + width]
