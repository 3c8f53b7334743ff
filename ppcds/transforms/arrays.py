"""From levels to the numbers that a network sees."""

from __future__ import annotations

import numpy as np
import paddle
from paddle.vision import transforms as paddle_transforms

from ppcds.transforms.transform import RandomTransform


class ToArray(RandomTransform):
    """An image [H, W, C], uint8, as an array [C, H, W] of float32 from 0 to 1.

    The values of Paddle's ToTensor without its tensor: reading processes then hand on plain arrays and never
    touch Paddle or a GPU. Raises TypeError for anything but uint8, which would not end in 0 to 1.
    """

    def apply(self, image, row=()):
        if image.dtype != np.uint8:
            raise TypeError(f"ToArray takes a uint8 image, not {image.dtype}")
        return np.ascontiguousarray(image.transpose(2, 0, 1)) / np.float32(255)

    def apply_on_device(self, images, parameters):
        return images / 255


class Normalize(RandomTransform):
    """(x - mean) / std of each channel of an image [3, H, W]: Paddle's Normalize."""

    def __init__(self, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), keys=None):
        super().__init__(keys)
        self.mean, self.std = tuple(mean), tuple(std)
        self.normalize = paddle_transforms.Normalize(self.mean, self.std)

    def apply(self, image, row=()):
        return self.normalize(image)

    def apply_on_device(self, images, parameters):
        mean = paddle.to_tensor(self.mean, dtype=images.dtype).reshape([3, 1, 1])
        std = paddle.to_tensor(self.std, dtype=images.dtype).reshape([3, 1, 1])
        return (images - mean) / std
