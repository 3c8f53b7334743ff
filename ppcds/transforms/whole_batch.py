"""The views of a whole batch on the processor, equal to those that View.apply makes one by one."""

from __future__ import annotations

import cv2
import numpy as np

from ppcds.transforms.arrays import Normalize, ToArray
from ppcds.transforms.cutout import Cutout
from ppcds.transforms.view import View


def apply_to_batch(
    view: View, images, parameters: list[np.ndarray], out: np.ndarray | None = None
) -> np.ndarray:
    """The views float32 [N, 3, H', W'] of N images, uint8 [H, W, 3]; written into `out` if given.

    parameters: of View.parameters for these images.
    """
    rows = [numbers.tolist() for numbers in parameters]
    last_steps = _LastSteps.of(view)
    if last_steps is None:
        arrays = [view.apply(image, [numbers[i] for numbers in rows]) for i, image in enumerate(images)]
        return np.stack(arrays, out=out)
    first_steps = list(zip(view.drawn[: last_steps.place], rows))
    for i, image in enumerate(images):
        for step, numbers in first_steps:
            image = step.apply(image, numbers[i])
        if out is None:
            out = np.empty((len(images), 3, *image.shape[:2]), np.float32)
        if out.shape[2:] != image.shape[:2]:  # OpenCV would write elsewhere
            raise ValueError(f"an image of {image.shape[:2]} does not fit in views {out.shape}")
        last_steps.write(image, out[i])
        for cutout, place, level in last_steps.cutouts:
            cutout.fill_holes(out[i], rows[place][i], level)
    return out


class _LastSteps:
    """ToArray, Normalize and Cutout of a view as one table of what becomes of the 256 levels of a channel.

    The table is made by the steps themselves, so its values are theirs to the last bit.
    place: of ToArray.  cutouts: (Cutout, its place, what its 0 becomes in the steps behind it [3, 1, 1]).
    """

    def __init__(self, view: View, place: int):
        levels = np.arange(256, dtype=np.uint8)
        table = view.drawn[place].apply(np.stack([levels] * 3, axis=1)[None])  # [3, 1, 256]
        self.place, self.cutouts = place, []
        for i, step in enumerate(view.drawn[place + 1 :], place + 1):
            if isinstance(step, Cutout):
                self.cutouts.append((step, i, np.zeros((3, 1, 1), np.float32)))
            else:
                table = step.apply(table)
                self.cutouts = [(cutout, j, step.apply(level)) for cutout, j, level in self.cutouts]
        self.table = table.astype(np.float32)
        self.planes: list[np.ndarray] = []

    @classmethod
    def of(cls, view: View) -> _LastSteps | None:
        """None if the view ends in other steps than these."""
        places = [i for i, step in enumerate(view.drawn) if isinstance(step, ToArray)]
        if len(places) != 1:
            return None
        behind = view.drawn[places[0] + 1 :]
        return cls(view, places[0]) if all(type(step) in (Cutout, Normalize) for step in behind) else None

    def write(self, image: np.ndarray, out: np.ndarray) -> None:
        """The image uint8 [H, W, 3] as float32 [3, H, W] into `out`, without holes."""
        if not self.planes or self.planes[0].shape != image.shape[:2]:
            self.planes = [np.empty(image.shape[:2], np.uint8) for _ in range(3)]
        cv2.split(image, self.planes)
        for plane, levels, channel in zip(self.planes, self.table, out):
            cv2.LUT(plane, levels, channel)
