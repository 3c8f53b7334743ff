"""From steps to a view: a chain, a step that is taken by chance, and the change to an array."""

from __future__ import annotations

import random

import numpy as np
from paddle.vision.transforms import BaseTransform


class View:
    """One way of looking at an image: RGB uint8 [H, W, 3] through `steps` to float32 [3, H, W]."""

    def __init__(self, steps):
        self.steps = list(steps)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        for step in self.steps:
            image = step(image)
        return image

    def __repr__(self) -> str:
        return f"View({', '.join(type(step).__name__ for step in self.steps)})"


class RandomApply(BaseTransform):
    """Apply `func` with probability `p`, else return the image as it is. Drawn from Python's generator."""

    def __init__(self, func, p: float, keys=None):
        super().__init__(keys)
        if not 0 <= p <= 1:
            raise ValueError(f"RandomApply needs p from 0 to 1, not {p}")
        self.func = func
        self.p = p

    def _apply_image(self, image):
        return self.func(image) if random.random() < self.p else image


class ToArray(BaseTransform):
    """An image [H, W, C], uint8, as an array [C, H, W] of float32 from 0 to 1.

    The values of Paddle's ToTensor without its tensor: reading processes then hand on plain arrays and never
    touch Paddle or a GPU. Raises TypeError for anything but uint8, which would not end in 0 to 1.
    """

    def __init__(self, keys=None):
        super().__init__(keys)

    def _apply_image(self, image: np.ndarray) -> np.ndarray:
        if image.dtype != np.uint8:
            raise TypeError(f"ToArray takes a uint8 image, not {image.dtype}")
        return np.ascontiguousarray(image.transpose(2, 0, 1)) / np.float32(255)
