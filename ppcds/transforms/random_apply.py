"""A transform that is taken by chance."""

from __future__ import annotations

import numpy as np

from ppcds.transforms.transform import RandomTransform, as_random_transform, change_rows


class RandomApply(RandomTransform):
    """Apply `func` with probability `p`, else return the image as it is."""

    def __init__(self, func, p: float, keys=None):
        super().__init__(keys)
        if not 0 <= p <= 1:
            raise ValueError(f"RandomApply needs p from 0 to 1, not {p}")
        self.func = func
        self.p = p
        self.inner = as_random_transform(func)
        self.draws = 1 + self.inner.draws

    def output_size(self, heights, widths):
        return self.inner.output_size(heights, widths)

    def parameters(self, uniforms, heights, widths):
        """float64 [N, 1 + k]: 1 applies, and the parameters of `func`."""
        inner = self.inner.parameters(uniforms[:, 1:], heights, widths)
        return np.concatenate([uniforms[:, :1] < self.p, inner], axis=1)

    def apply(self, image, row):
        return self.inner.apply(image, row[1:]) if row[0] else image

    def apply_on_device(self, images, parameters):
        rows = np.flatnonzero(parameters[:, 0])
        return change_rows(images, rows, lambda some: self.inner.apply_on_device(some, parameters[rows, 1:]))

    def _apply_image(self, image):
        return self.func(image) if np.random.random_sample() < self.p else image
