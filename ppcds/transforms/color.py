"""Random colour changes of RGB images [H, W, 3], uint8."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np

from ppcds.transforms import color_on_device
from ppcds.transforms.transform import RandomTransform, change_rows, column


class ColorJitter(RandomTransform):
    """Change brightness, contrast, saturation and hue by random factors, in random order.

    brightness, contrast, saturation: b >= 0, the factor is uniform in [max(0, 1 - b), 1 + b].
    hue: 0 to 0.5, the shift is uniform in [-hue, hue] of the colour circle.

    Paddle's own ColorJitter takes arrays for BGR, turns contrast about the constant 74 instead of the
    image's mean grey, and draws the saturation twice, which makes its 0.4 reach from 0 to 2.4. This one does
    what its numbers say, as PIL and torchvision do.
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
        self.draws = 2 * len(self.ranges)

    def parameters(self, uniforms, heights, widths):
        """float64 [N, 2 R]: the order in which the R entries of `ranges` are taken, then their numbers."""
        kinds = len(self.ranges)
        order = uniforms[:, :kinds].argsort(axis=1)
        low, high = np.array([entry[1:] for entry in self.ranges]).reshape(kinds, 2).T
        return np.concatenate([order, low + uniforms[:, kinds:] * (high - low)], axis=1)

    def apply(self, image, row):
        kinds = len(self.ranges)
        for kind in map(int, row[:kinds]):
            image = self.ranges[kind][0](image, row[kinds + kind])
        return image

    def apply_on_device(self, images, parameters):
        kinds = len(self.ranges)
        for place in range(kinds):
            for kind, (adjust, _, _) in enumerate(self.ranges):
                rows = np.flatnonzero(parameters[:, place] == kind)
                change = partial(ON_DEVICE[adjust], number=column(parameters[rows, kinds + kind]))
                images = change_rows(images, rows, change)
        return images


def adjust_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply by `factor`: 0 is black, 1 the image itself."""
    return _straight_line(image, factor, 0.0)


def adjust_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Move away from the image's mean grey: 0 is that grey everywhere, 1 the image itself."""
    mean = cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0]
    return _straight_line(image, factor, mean * (1 - factor))


def adjust_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Move away from the grey image: 0 is grey, 1 the image itself."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, factor, grey, 1 - factor, 0)


def adjust_hue(image: np.ndarray, shift: float) -> np.ndarray:
    """Turn the colour circle by `shift`, a fraction of the whole turn."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)  # FULL: hue has 256 steps, so uint8 wraps by itself
    hsv[..., 0] += np.uint8(round(shift * 256) % 256)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def _straight_line(image: np.ndarray, slope: float, offset: float) -> np.ndarray:
    """round(slope * level + offset) kept within 0 to 255; the second image, times 0, only fills its place."""
    return cv2.addWeighted(image, slope, image, 0, offset)


ON_DEVICE = {
    adjust_brightness: color_on_device.adjust_brightness,
    adjust_contrast: color_on_device.adjust_contrast,
    adjust_saturation: color_on_device.adjust_saturation,
    adjust_hue: color_on_device.adjust_hue,
}
