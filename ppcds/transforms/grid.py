"""A picture of what the network is shown."""

from __future__ import annotations

import numpy as np


def view_grid(examples: list[list[np.ndarray]], columns: int = 8) -> np.ndarray:
    """One image [H', W', 3] uint8: a row of up to `columns` examples, their other views in rows below.

    examples: V normalised views [3, H, W] each. Each view is stretched to its own full range, since the
    colours that normalisation started from are not in it.
    """
    rows = []
    columns = min(columns, len(examples))
    for start in range(0, len(examples) - columns + 1, columns):  # whole rows only
        for view in zip(*examples[start : start + columns]):
            rows.append(np.concatenate([_as_picture(image) for image in view], axis=1))
    return np.concatenate(rows, axis=0)


def _as_picture(image: np.ndarray) -> np.ndarray:
    low, high = image.min(), image.max()
    stretched = (image - low) / max(high - low, 1e-6) * 255
    framed = np.pad(stretched, ((0, 0), (1, 1), (1, 1)), constant_values=255)
    return framed.round().astype(np.uint8).transpose(1, 2, 0)
