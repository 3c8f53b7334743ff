"""A random part of an image, brought to one size."""

from __future__ import annotations

import math

import cv2
import numpy as np
import paddle
import paddle.nn.functional as F

from ppcds.transforms.transform import RandomTransform

ATTEMPTS = 10


class RandomResizedCrop(RandomTransform):
    """Cut a random part out of an image [H, W, 3] and resize it to `size` = (H', W'), bilinear.

    scale: the part's share of the area is uniform in it.  ratio: the logarithm of its width / height is
    uniform between those of the two.  The first of ten such parts that fits in the image is taken, at a
    uniform place; if none fits, the largest one in the middle that keeps to `ratio`. The distribution of
    Paddle's and torchvision's transform of this name.
    """

    draws = 2 * ATTEMPTS + 2

    def __init__(self, size, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), keys=None):
        super().__init__(keys)
        if not (0 < scale[0] <= scale[1] and 0 < ratio[0] <= ratio[1]):
            raise ValueError(f"RandomResizedCrop needs rising pairs above 0, not {scale} and {ratio}")
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        self.scale, self.ratio = scale, ratio

    def output_size(self, heights, widths):
        return self.size

    def parameters(self, uniforms, heights, widths):
        """float64 [N, 4]: the part's top, left, height and width in pixels."""
        heights, widths = (np.broadcast_to(side, len(uniforms)) for side in (heights, widths))
        low, high = self.scale
        areas = (low + uniforms[:, :ATTEMPTS] * (high - low)) * (heights * widths)[:, None]
        low, high = map(math.log, self.ratio)
        ratios = np.exp(low + uniforms[:, ATTEMPTS : 2 * ATTEMPTS] * (high - low))
        part_heights, part_widths = np.rint(np.sqrt(areas / ratios)), np.rint(np.sqrt(areas * ratios))
        fits = (part_heights > 0) & (part_heights <= heights[:, None])
        fits &= (part_widths > 0) & (part_widths <= widths[:, None])
        first = (np.arange(len(uniforms)), fits.argmax(1))
        # none fits: the whole image, but no narrower and no wider than `ratio`
        whole_heights = np.minimum(heights, np.rint(widths / self.ratio[0]))
        whole_widths = np.minimum(widths, np.rint(heights * self.ratio[1]))
        found = fits.any(1)
        part_heights = np.where(found, part_heights[first], whole_heights)
        part_widths = np.where(found, part_widths[first], whole_widths)
        spare_rows, spare_columns = heights - part_heights, widths - part_widths
        tops = np.where(found, np.floor(uniforms[:, -2] * (spare_rows + 1)), spare_rows // 2)
        lefts = np.where(found, np.floor(uniforms[:, -1] * (spare_columns + 1)), spare_columns // 2)
        return np.stack([tops, lefts, part_heights, part_widths], axis=1)

    def apply(self, image, row):
        top, left, height, width = map(int, row)
        return cv2.resize(image[top : top + height, left : left + width], self.size[::-1])

    def apply_on_device(self, images, parameters):
        tops, lefts, heights, widths = paddle.to_tensor(parameters, dtype="float32").unsqueeze(-1).unbind(1)
        rows = _sample_places(tops, heights, self.size[0], images.shape[2])
        columns = _sample_places(lefts, widths, self.size[1], images.shape[3])
        shape = [len(images), *self.size]
        grid = [columns.unsqueeze(1).expand(shape), rows.unsqueeze(2).expand(shape)]
        return F.grid_sample(images, paddle.stack(grid, axis=3), align_corners=True).round()


def _sample_places(first: paddle.Tensor, length: paddle.Tensor, count: int, side: int) -> paddle.Tensor:
    """Where `count` pixels lie in a part of each image, -1 to 1 from its first to its last pixel: [N, count].

    first, length: of the part, [N, 1] pixels of `side`. Nothing is read outside of the part.
    """
    places = (paddle.arange(count, dtype="float32") + 0.5) * (length / count) - 0.5
    inside = paddle.minimum(paddle.maximum(places, paddle.zeros_like(places)), length - 1)
    return (first + inside) * (2 / max(side - 1, 1)) - 1
