"""Whether an exported model computes what the trained network computes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ppcds.errors import UserError

TOLERANCE = 1e-4  # of outputs up to 1; of larger ones so much of the largest
DRAWN = 6  # images that every export is tried on


@dataclass(frozen=True)
class Agreement:
    """largest: difference of two outputs.  same_top1: how many of `images` have the same best class."""

    largest: float
    same_top1: int
    images: int


def require_parity(file: str, expected: np.ndarray, found: np.ndarray) -> Agreement:
    """Compare outputs [N, K] of the trained network and of an exported file.

    Within the tolerance the best class can only differ where two are closer than twice of it.
    Raises UserError if they differ by more, or if one is not finite.
    """
    if not np.isfinite(expected).all():
        raise UserError("the network's outputs are not finite: train again with a lower optim.learning_rate")
    if found.shape != expected.shape:
        raise UserError(f"{file} gives {found.shape}, the trained network {expected.shape}: it is not kept")
    largest = float(np.abs(expected - found).max())
    if not largest <= TOLERANCE * max(1.0, float(np.abs(expected).max())):  # NaN, too
        raise UserError(f"{file} differs from the trained network by {largest:.2g}: it is not kept")
    same = int((expected.argmax(axis=1) == found.argmax(axis=1)).sum())
    return Agreement(largest, same, len(expected))


def drawn_images(size: tuple[int, int], count: int = DRAWN) -> list[np.ndarray]:
    """RGB uint8 [H, W, 3]: coarse patches of colour under noise, always the same."""
    random = np.random.RandomState(0)
    images = []
    for _ in range(count):
        patches = random.randint(0, 256, (5, 5, 3)).astype(np.float32)
        image = cv2.resize(patches, size[::-1], interpolation=cv2.INTER_CUBIC)
        images.append((image + random.normal(0, 15, image.shape)).clip(0, 255).astype(np.uint8))
    return images
