"""Gaussian blur of random strength."""

from __future__ import annotations

import random

import cv2
import numpy as np
from paddle.vision.transforms import BaseTransform


class GaussianBlur(BaseTransform):
    """Blur an image [H, W, C] with a Gaussian whose sigma is uniform in `sigma`, in pixels.

    kernel_size: an odd number of pixels; SimCLR takes a tenth of the image's side. It always blurs:
    RandomApply gives it a probability. Drawn from Python's generator.
    """

    def __init__(self, kernel_size: int, sigma=(0.1, 2.0), keys=None):
        super().__init__(keys)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"GaussianBlur needs an odd kernel_size, not {kernel_size}")
        if not 0 < sigma[0] <= sigma[1]:
            raise ValueError(f"GaussianBlur needs a sigma of two rising numbers above 0, not {sigma}")
        self.kernel_size = kernel_size
        self.sigma = sigma

    def _apply_image(self, image: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(image, (self.kernel_size, self.kernel_size), random.uniform(*self.sigma))
