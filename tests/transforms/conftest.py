"""An image for transforms."""

from __future__ import annotations

import cv2
import numpy as np
import pytest


@pytest.fixture
def image():
    """A smooth coloured RGB image [72, 128, 3], uint8, the same in every test."""
    coarse = np.random.RandomState(0).randint(0, 256, (18, 32, 3), dtype=np.uint8)
    return cv2.resize(coarse, (128, 72))
