"""Images as a page holds them: small, and in the page itself."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from ppcds.transforms.arrays import Normalize
from ppcds.transforms.view import View

SIDE = 176  # px of the longer side: sharp on a phone, and a few kilobytes
QUALITY = 72


def data_uri(image: np.ndarray, side: int = SIDE) -> str:
    """RGB uint8 [H, W, 3] as a JPEG of at most `side` px on its longer side, in a data: address."""
    factor = side / max(image.shape[:2])
    if factor < 1:
        size = tuple(max(1, round(length * factor)) for length in image.shape[1::-1])
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ValueError(f"an image of {image.shape} cannot be written as a JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def as_seen(array: np.ndarray, view: View) -> np.ndarray:
    """What a network is shown, float32 [3, H, W], as RGB uint8: what `view` has normalised is taken back."""
    for step in reversed(view.steps):
        if isinstance(step, Normalize):
            mean, std = (np.reshape(numbers, (3, 1, 1)) for numbers in (step.mean, step.std))
            array = array * std + mean
    return (array * 255).round().clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


def heated(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """RGB uint8 [H, W, 3] under a map [h, w], its largest value yellow and 0 the image alone, darkened."""
    scaled = heat / max(float(heat.max()), 1e-12)
    scaled = cv2.resize(scaled.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap((scaled * 255).round().astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    share = 0.65 * scaled[..., None]
    return (image * (0.75 - share * 0.75) + colours * share).clip(0, 255).astype(np.uint8)
