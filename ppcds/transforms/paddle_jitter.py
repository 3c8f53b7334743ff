"""Paddle's own colour jitter, which the notebook ran."""

from __future__ import annotations

from paddle.vision.transforms import ColorJitter

from ppcds.transforms.transform import Seeded


class PaddleColorJitter(Seeded):
    """`paddle.vision.transforms.ColorJitter`; see ppcds' ColorJitter for what it does otherwise.

    It draws while it works, from Python's generator, so images go through it one by one, on the processor.
    """

    def __init__(
        self,
        brightness: float = 0,
        contrast: float = 0,
        saturation: float = 0,
        hue: float = 0,
        keys=None,
    ):
        super().__init__(ColorJitter(brightness, contrast, saturation, hue), keys)
