"""Cutout: square holes in an image (DeVries and Taylor 2017, arXiv:1708.04552)."""

from __future__ import annotations

import numpy as np
import paddle

from ppcds.transforms.transform import RandomTransform


class Cutout(RandomTransform):
    """Fill `n_holes` squares of `length` pixels with 0.

    Takes a float image [C, H, W], an array or a Paddle tensor, and returns a new one of the same kind. Each
    hole's centre is a uniform pixel, so what reaches over the border is clipped and holes may overlap.
    Raises ValueError for fewer than one hole or pixel.
    """

    def __init__(self, n_holes: int, length: int, keys=None):
        super().__init__(keys)
        if n_holes < 1 or length < 1:
            raise ValueError(f"Cutout needs n_holes and length of at least 1, not {n_holes} and {length}")
        self.n_holes = n_holes
        self.length = length
        self.draws = 2 * n_holes

    def parameters(self, uniforms, heights, widths):
        """float64 [N, 2 n_holes]: of each hole the top row and the left column, which may lie outside."""
        sides = np.stack(np.broadcast_arrays(heights, widths), axis=-1)
        centres = uniforms.reshape(len(uniforms), self.n_holes, 2) * sides.reshape(-1, 1, 2)
        # an even hole has no middle pixel: it reaches one pixel further up and left, as in published code
        return (np.floor(centres) - self.length // 2).reshape(len(uniforms), -1)

    def apply(self, image, row):
        image = image.copy()
        self.fill_holes(image, row, 0)
        return image

    def fill_holes(self, image: np.ndarray, row: list[float], value) -> None:
        """Write `value` into the holes of an image [C, H, W]."""
        for top, left in zip(row[::2], row[1::2]):
            bottom, right = int(top) + self.length, int(left) + self.length
            image[..., max(int(top), 0) : bottom, max(int(left), 0) : right] = value

    def apply_on_device(self, images, parameters):
        corners = paddle.to_tensor(parameters, dtype="float32").reshape([len(images), self.n_holes, 2, 1])
        within = []
        for axis, corner in zip((2, 3), corners.unbind(2)):
            distance = paddle.arange(images.shape[axis], dtype="float32") - corner
            within.append((distance >= 0) & (distance < self.length))
        holes = (within[0].unsqueeze(3) & within[1].unsqueeze(2)).any(axis=1, keepdim=True)
        return images * (~holes).astype(images.dtype)

    def _apply_image(self, image):
        if isinstance(image, paddle.Tensor):
            return paddle.to_tensor(self._apply_image(image.numpy()), place=image.place)
        return self.apply_drawn(image, *image.shape[-2:])
