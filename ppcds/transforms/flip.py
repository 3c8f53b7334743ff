"""Mirror images."""

from __future__ import annotations

import cv2
import paddle

from ppcds.transforms.transform import RandomTransform, change_rows


class RandomHorizontalFlip(RandomTransform):
    """With probability `prob`, exchange left and right of an image [H, W, C]."""

    draws = 1

    def __init__(self, prob: float = 0.5, keys=None):
        super().__init__(keys)
        if not 0 <= prob <= 1:
            raise ValueError(f"RandomHorizontalFlip needs prob from 0 to 1, not {prob}")
        self.prob = prob

    def parameters(self, uniforms, heights, widths):
        """float64 [N, 1]: 1 flips."""
        return (uniforms < self.prob).astype(float)

    def apply(self, image, row):
        return cv2.flip(image, 1) if row[0] else image

    def apply_on_device(self, images, parameters):
        return change_rows(images, parameters[:, 0].nonzero()[0], lambda some: paddle.flip(some, [3]))
