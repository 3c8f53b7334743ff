"""The views of the Sports10 notebook."""

from __future__ import annotations

from ppcds.transforms.arrays import Normalize, ToArray
from ppcds.transforms.color import ColorJitter
from ppcds.transforms.cutout import Cutout
from ppcds.transforms.flip import RandomHorizontalFlip
from ppcds.transforms.grayscale import RandomGrayscale
from ppcds.transforms.random_apply import RandomApply
from ppcds.transforms.view import View

# the notebook's colour statistics, which are CIFAR-10's
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2023, 0.1994, 0.2010)


def notebook_views() -> list[View]:
    """The two training views: holes in one, colours changed in the other."""
    with_holes = View([RandomHorizontalFlip(), ToArray(), Cutout(3, 10), Normalize(MEAN, STD)])
    recoloured = View(
        [
            RandomHorizontalFlip(),
            RandomApply(ColorJitter(0.4, 0.4, 0.4, 0.1), p=0.8),
            RandomGrayscale(p=0.2),
            ToArray(),
            Normalize(MEAN, STD),
        ]
    )
    return [with_holes, recoloured]


def evaluation_view() -> View:
    """The view of evaluation: nothing random."""
    return View([ToArray(), Normalize(MEAN, STD)])
