"""Mean and standard deviation of a data set's colours, for Normalize."""

from __future__ import annotations

import numpy as np

from ppcds.datasets.split import ImageSplit
from ppcds.datasets.subset import stratified_order
from ppcds.errors import UserError

MOST_IMAGES = 2000  # whose colours tell those of all: of photographs to a percent


def measure_colours(split: ImageSplit, most: int = MOST_IMAGES) -> dict[str, list[float]]:
    """{"mean": [R, G, B], "std": [R, G, B]} over all pixels, in units of the full range, to four digits.

    Of the split's images at its size, at most `most` of them (stratified, always the same ones). Images that
    cannot be read are passed over if split.on_bad_image is not "error".
    Raises UserError if one cannot be read, or if all pixels of a channel are the same.
    """
    rows = np.arange(len(split))
    if len(rows) > most:
        rows = np.sort(stratified_order(split.labels + 1, seed=0)[:most])
    count, sums, squares = 0, np.zeros(3), np.zeros(3)
    for row in rows.tolist():
        try:
            image = split.load_image(row)
        except UserError:
            if split.on_bad_image == "error":
                raise
            continue
        pixels = image.reshape(-1, 3).astype(np.float64) / 255
        count, sums, squares = (
            count + len(pixels),
            sums + pixels.sum(axis=0),
            squares + (pixels**2).sum(axis=0),
        )
    if not count:
        raise UserError(f"{split.root}: no image of {split.split} can be read")
    mean = sums / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    if (std < 1e-3).any():
        raise UserError(
            f"{split.root}: all pixels of a colour are the same (mean {mean.round(4).tolist()}, standard "
            f"deviation {std.round(4).tolist()}): set data.colours to given, and Normalize in the views"
        )
    return {"mean": mean.round(4).tolist(), "std": std.round(4).tolist()}


def with_colours(steps: object, colours: dict[str, list[float]]) -> object:
    """A recipe's views, or a part of them, with these colours in every Normalize."""
    if isinstance(steps, list):
        return [with_colours(step, colours) for step in steps]
    if isinstance(steps, dict):
        return {
            name: {**value, **colours} if name == "Normalize" else with_colours(value, colours)
            for name, value in steps.items()
        }
    return steps
