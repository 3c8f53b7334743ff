"""bfloat16, which NumPy lacks: Paddle saves it as uint16, safetensors as BF16."""

from __future__ import annotations

import numpy as np


def single_of_bfloat16(bits: np.ndarray) -> np.ndarray:
    """float32 of the very same values.  bits: uint16, each the upper half of a float32; of any shape."""
    upper = bits.astype(np.uint32)
    upper <<= np.uint32(16)
    return upper.view(np.float32)
