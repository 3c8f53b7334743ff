"""The colour changes of color.py for tensors [N, 3, H, W] of whole levels 0 to 255, on their device.

number: of each image, [N, 1, 1, 1]. Results are those of color.py but for rounding.
"""

from __future__ import annotations

import paddle

from ppcds.transforms.grayscale import grey_of


def adjust_brightness(images: paddle.Tensor, number: paddle.Tensor) -> paddle.Tensor:
    """Multiply by `number`: 0 is black, 1 the image itself."""
    return _as_levels(images * number)


def adjust_contrast(images: paddle.Tensor, number: paddle.Tensor) -> paddle.Tensor:
    """Move away from the image's mean grey: 0 is that grey everywhere, 1 the image itself."""
    mean = grey_of(images).round().mean(axis=[1, 2, 3], keepdim=True)
    return _as_levels(mean + (images - mean) * number)


def adjust_saturation(images: paddle.Tensor, number: paddle.Tensor) -> paddle.Tensor:
    """Move away from the grey image: 0 is grey, 1 the image itself."""
    grey = grey_of(images).round()
    return _as_levels(grey + (images - grey) * number)


def adjust_hue(images: paddle.Tensor, number: paddle.Tensor) -> paddle.Tensor:
    """Turn the colour circle by `number`, a fraction of the whole turn.

    Hue and saturation are rounded to 256 steps as OpenCV does it in COLOR_RGB2HSV_FULL, by reciprocals that
    are rounded to 1 / 4096.
    """
    red, green, blue = images.unbind(1)
    value, low = images.max(axis=1), images.min(axis=1)
    spread = value - low
    zero, one = paddle.zeros_like(value), paddle.ones_like(value)
    hue = paddle.where(
        value == red,
        green - blue,
        paddle.where(value == green, blue - red + 2 * spread, red - green + 4 * spread),
    )
    hue = _rounded(hue * (256 / 6 * 4096 / paddle.maximum(spread, one)).round() / 4096)
    hue = (paddle.where(hue < 0, hue + 256, hue)).clip(0, 255)
    saturation = _rounded(spread * (255 * 4096 / paddle.maximum(value, one)).round() / 4096)
    hue = (hue + (number.squeeze(1) * 256).round()) % 256

    sector = hue * (6 / 255)  # 255: OpenCV's way back is not quite its way there
    channels = []
    for first in (5, 3, 1):  # where red, green and blue begin to fall
        place = (sector + first) % 6
        fall = paddle.maximum(paddle.minimum(paddle.minimum(place, 4 - place), one), zero)
        channels.append(value - value * (saturation / 255) * fall)
    return _as_levels(paddle.stack(channels, axis=1))


def _rounded(numbers: paddle.Tensor) -> paddle.Tensor:
    return (numbers + 0.5).floor()


def _as_levels(images: paddle.Tensor) -> paddle.Tensor:
    return images.round().clip(0, 255)
