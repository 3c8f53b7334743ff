"""Random crop of a padded image."""

from __future__ import annotations

import cv2
import numpy as np
import paddle

from ppcds.errors import UserError
from ppcds.transforms.transform import RandomTransform


class RandomCrop(RandomTransform):
    """Pad an image [H, W, 3] with `fill` by `padding` pixels on each side and cut `size` = (H, W) out of it.

    size: None keeps the image's own, a number is a square.  fill: one level for all channels, or three.
    Paddle's RandomCrop gives a single fill level to the first channel only and 0 to the others.
    Raises ValueError without size and padding, and UserError for too small an image.
    """

    draws = 2

    def __init__(self, size=None, padding: int = 0, fill=0, keys=None):
        super().__init__(keys)
        if size is None and not padding:
            raise ValueError("without padding or size it would leave the image as it is")
        self.size = (size, size) if isinstance(size, int) else size
        self.padding = padding
        self.fill = (fill, fill, fill) if isinstance(fill, (int, float)) else tuple(fill)

    def output_size(self, heights, widths):
        return self.size or (heights, widths)

    def parameters(self, uniforms, heights, widths):
        """float64 [N, 2]: the top row and the left column of the cut, in the padded image."""
        cut = self.output_size(heights, widths)
        spare = [side + 2 * self.padding - kept for side, kept in zip((heights, widths), cut)]
        if np.min(spare[0]) < 0 or np.min(spare[1]) < 0:
            padded = "x".join(str(np.min(side) + 2 * self.padding) for side in (heights, widths))
            raise UserError(
                f"RandomCrop: no room for {cut[0]}x{cut[1]} in an image of {padded}: lower its size, or "
                "raise its padding"
            )
        places = [np.floor(uniforms[:, i] * (spare[i] + 1)) for i in range(2)]
        return np.stack(places, axis=1)

    def apply(self, image, row):
        height, width = self.output_size(*image.shape[:2])
        top, left, pad = int(row[0]), int(row[1]), self.padding
        if pad:
            image = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=self.fill)
        return image[top : top + height, left : left + width]

    def apply_on_device(self, images, parameters):
        height, width = self.output_size(*images.shape[2:])
        pad = self.padding
        if pad:
            fill = paddle.to_tensor(self.fill, dtype=images.dtype).reshape([3, 1, 1]).round()
            images = paddle.nn.functional.pad(images - fill, [pad] * 4) + fill
        for axis, length, first in ((2, height, parameters[:, 0]), (3, width, parameters[:, 1])):
            index = first[:, None].astype(np.int64) + np.arange(length)
            shape = [-1, 1, 1, 1]
            shape[axis] = length
            images = paddle.take_along_axis(images, paddle.to_tensor(index).reshape(shape), axis)
        return images
