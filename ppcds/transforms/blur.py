"""Gaussian blur of random strength."""

from __future__ import annotations

import cv2
import paddle
import paddle.nn.functional as F

from ppcds.transforms.transform import RandomTransform


class GaussianBlur(RandomTransform):
    """Blur an image [H, W, C] with a Gaussian whose sigma is uniform in `sigma`, in pixels.

    kernel_size: an odd number of pixels; SimCLR takes a tenth of the image's side. It always blurs:
    RandomApply gives it a probability.
    """

    draws = 1

    def __init__(self, kernel_size: int, sigma=(0.1, 2.0), keys=None):
        super().__init__(keys)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"GaussianBlur needs an odd kernel_size, not {kernel_size}")
        if not 0 < sigma[0] <= sigma[1]:
            raise ValueError(f"GaussianBlur needs a sigma of two rising numbers above 0, not {sigma}")
        self.kernel_size = kernel_size
        self.sigma = sigma

    def parameters(self, uniforms, heights, widths):
        """float64 [N, 1]: sigma."""
        return self.sigma[0] + uniforms * (self.sigma[1] - self.sigma[0])

    def apply(self, image, row):
        return cv2.GaussianBlur(image, (self.kernel_size, self.kernel_size), row[0])

    def apply_on_device(self, images, parameters):
        side, reach = self.kernel_size, self.kernel_size // 2
        distance = paddle.arange(-reach, reach + 1, dtype="float32")
        sigma = paddle.to_tensor(parameters, dtype="float32")
        kernels = F.softmax(-(distance**2) / (2 * sigma**2), axis=1)
        # each channel of each image as a group with a kernel of its own
        groups = images.shape[0] * images.shape[1]
        kernels = kernels.repeat_interleave(images.shape[1], axis=0)
        padded = F.pad(images, [reach] * 4, mode="reflect")
        blurred = padded.reshape([1, groups, *padded.shape[2:]])
        for shape in ([groups, 1, side, 1], [groups, 1, 1, side]):
            blurred = F.conv2d(blurred, kernels.reshape(shape), groups=groups)
        return blurred.reshape(images.shape).round()
