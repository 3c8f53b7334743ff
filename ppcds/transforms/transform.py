"""What a random transform is: numbers are drawn in one place and applied in another."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import paddle
from paddle.vision.transforms import BaseTransform


class RandomTransform(BaseTransform):
    """A change of images that follows from parameters, and parameters that follow from uniform numbers.

    So one image, a batch on the processor and a batch on a device are changed alike by the same numbers. A
    subclass that can change a batch on a device has

        apply_on_device(images, parameters) -> images

    images: float tensor [N, 3, H, W] that holds whole levels 0 to 255 before ToArray.  parameters: [N, k].

    Called on one image alone, a transform draws from NumPy's global generator.
    """

    draws = 0  # uniform numbers from [0, 1) that an image needs

    def parameters(self, uniforms: np.ndarray, heights, widths) -> np.ndarray:
        """float64 [N, k], one row an image, from uniforms [N, draws].

        heights, widths: of the images it will see, in pixels; numbers, or arrays [N].
        """
        return uniforms

    def apply(self, image: np.ndarray, row: list[float]) -> np.ndarray:
        """The image changed as its row of parameters says; the image itself stays as it is."""
        raise NotImplementedError(f"{type(self).__name__} has no apply")

    def output_size(self, heights, widths):
        """Heights and widths of what it makes of images of these."""
        return heights, widths

    def _apply_image(self, image):
        return self.apply_drawn(image, *image.shape[:2])

    def apply_drawn(self, image, height: int, width: int):
        """The image changed by numbers from NumPy's global generator."""
        uniforms = np.random.random_sample((1, self.draws))
        return self.apply(image, self.parameters(uniforms, height, width)[0].tolist())


class Seeded(RandomTransform):
    """Any function of an image, its draws from Python's and NumPy's global generators made repeatable."""

    draws = 1

    def __init__(self, function: Callable, keys=None):
        super().__init__(keys)
        self.function = function

    def parameters(self, uniforms, heights, widths):
        """float64 [N, 1]: the generators' seed."""
        return np.floor(uniforms * 2**32)

    def apply(self, image, row):
        seed = int(row[0])
        random.seed(seed)
        np.random.seed(seed)
        return self.function(image)

    def _apply_image(self, image):
        return self.function(image)


def as_random_transform(step: Callable) -> RandomTransform:
    """The step itself, or one that seeds what it draws from."""
    return step if isinstance(step, RandomTransform) else Seeded(step)


def change_rows(images: paddle.Tensor, rows: np.ndarray, change: Callable) -> paddle.Tensor:
    """The images [N, ...] with `change` made to those of these row numbers."""
    if not len(rows):
        return images
    if len(rows) == len(images):
        return change(images)
    index = paddle.to_tensor(rows)
    return paddle.scatter(images, index, change(paddle.index_select(images, index)))


def column(values: np.ndarray) -> paddle.Tensor:
    """Parameters [N] as a tensor [N, 1, 1, 1], beside images [N, C, H, W]."""
    return paddle.to_tensor(values, dtype="float32").reshape([-1, 1, 1, 1])
