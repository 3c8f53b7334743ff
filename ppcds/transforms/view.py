"""From steps to a view of an image."""

from __future__ import annotations

import numpy as np
import paddle

from ppcds.transforms.transform import as_random_transform


class View:
    """One way of looking at an image: RGB uint8 [H, W, 3] through `steps` to float32 [3, H, W].

    Called on an image, it draws from the global generators; from uniform numbers of one's own it is
    `apply(image, rows of parameters)`, and whole_batch.py makes that of a whole batch.
    on_device: a loader leaves it to `apply_on_device`.
    """

    def __init__(self, steps, on_device: bool = False):
        self.steps = list(steps)
        self.drawn = [as_random_transform(step) for step in self.steps]
        self.draws = sum(step.draws for step in self.drawn)
        self.on_device = on_device

    def __call__(self, image: np.ndarray) -> np.ndarray:
        for step in self.steps:
            image = step(image)
        return image

    def parameters(self, uniforms: np.ndarray, heights, widths) -> list[np.ndarray]:
        """Of each step its parameters [N, k], from uniforms [N, draws] and the images' sizes in pixels."""
        found, used = [], 0
        for step in self.drawn:
            found.append(step.parameters(uniforms[:, used : used + step.draws], heights, widths))
            heights, widths = step.output_size(heights, widths)
            used += step.draws
        return found

    def apply(self, image: np.ndarray, rows: list[list[float]]) -> np.ndarray:
        """The view of an image for its row of each step's parameters."""
        for step, row in zip(self.drawn, rows):
            image = step.apply(image, row)
        return image

    def apply_on_device(self, images: paddle.Tensor, parameters: list[np.ndarray]) -> paddle.Tensor:
        """The views float32 [N, 3, H', W'] of images uint8 [N, H, W, 3], made where these are."""
        with paddle.no_grad():
            images = images.transpose([0, 3, 1, 2]).astype("float32")
            for step, numbers in zip(self.drawn, parameters):
                images = step.apply_on_device(images, numbers)
            return images

    def __repr__(self) -> str:
        return f"View({', '.join(type(step).__name__ for step in self.steps)})"
