"""Random colour changes of RGB images [H, W, 3], uint8."""

from __future__ import annotations

import random

import cv2
import numpy as np
import paddle
from paddle.vision.transforms import BaseTransform

GREY_WEIGHTS = (0.299, 0.587, 0.114)  # luma of red, green and blue, ITU-R BT.601


class ColorJitter(BaseTransform):
    """Change brightness, contrast, saturation and hue by random factors, in random order.

    brightness, contrast, saturation: b >= 0, the factor is uniform in [max(0, 1 - b), 1 + b].
    hue: 0 to 0.5, the shift is uniform in [-hue, hue] of the colour circle.

    Paddle's own ColorJitter takes arrays for BGR, turns contrast about the constant 74 instead of the
    image's mean grey, and draws the saturation twice, which makes its 0.4 reach from 0 to 2.4. This one does
    what its numbers say, as PIL and torchvision do. Drawn from Python's generator.
    """

    def __init__(
        self,
        brightness: float = 0,
        contrast: float = 0,
        saturation: float = 0,
        hue: float = 0,
        keys=None,
    ):
        super().__init__(keys)
        if min(brightness, contrast, saturation) < 0 or not 0 <= hue <= 0.5:
            raise ValueError("ColorJitter needs brightness, contrast, saturation >= 0 and hue from 0 to 0.5")
        self.ranges = [
            (adjust_brightness, max(0.0, 1 - brightness), 1 + brightness),
            (adjust_contrast, max(0.0, 1 - contrast), 1 + contrast),
            (adjust_saturation, max(0.0, 1 - saturation), 1 + saturation),
            (adjust_hue, -hue, hue),
        ]
        self.ranges = [entry for entry in self.ranges if entry[1] != entry[2]]

    def _apply_image(self, image: np.ndarray) -> np.ndarray:
        for adjust, low, high in random.sample(self.ranges, len(self.ranges)):
            image = adjust(image, random.uniform(low, high))
        return image


def adjust_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply by `factor`: 0 is black, 1 the image itself."""
    return cv2.LUT(image, _straight_line(factor, 0.0))


def adjust_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Move away from the image's mean grey: 0 is that grey everywhere, 1 the image itself."""
    mean = cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0]
    return cv2.LUT(image, _straight_line(factor, mean * (1 - factor)))


def adjust_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Move away from the grey image: 0 is grey, 1 the image itself."""
    mix = factor * np.eye(3) + (1 - factor) * np.tile(GREY_WEIGHTS, (3, 1))
    return cv2.transform(image, mix)


def adjust_hue(image: np.ndarray, shift: float) -> np.ndarray:
    """Turn the colour circle by `shift`, a fraction of the whole turn."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)  # FULL: hue has 256 steps, so uint8 wraps by itself
    hsv[..., 0] += np.uint8(round(shift * 256) % 256)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def _straight_line(slope: float, offset: float) -> np.ndarray:
    """Table of the 256 levels: round(slope * level + offset), kept within 0 to 255."""
    return np.rint(np.arange(256) * slope + offset).clip(0, 255).astype(np.uint8)


class RandomGrayscale(BaseTransform):
    """With probability `p`, replace the colours by three equal channels of their grey.

    Takes an RGB array [H, W, 3] or a Paddle tensor [3, H, W], as ToTensor makes it, and returns the same
    kind. Drawn from Python's generator.
    """

    def __init__(self, p: float = 0.2, keys=None):
        super().__init__(keys)
        if not 0 <= p <= 1:
            raise ValueError(f"RandomGrayscale needs p from 0 to 1, not {p}")
        self.p = p

    def _apply_image(self, image):
        if random.random() >= self.p:
            return image
        if isinstance(image, paddle.Tensor):
            weights = paddle.to_tensor(GREY_WEIGHTS, dtype=image.dtype).reshape([3, 1, 1])
            return (image * weights).sum(0, keepdim=True).expand_as(image)
        return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
