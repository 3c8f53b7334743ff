"""Image operations, the views made of them, and the notebook's presets."""

from ppcds.transforms.blur import GaussianBlur
from ppcds.transforms.build import TRANSFORMS, build_view
from ppcds.transforms.color import ColorJitter, RandomGrayscale
from ppcds.transforms.crop import RandomCrop
from ppcds.transforms.cutout import Cutout
from ppcds.transforms.presets import MEAN, STD, evaluation_view, notebook_views
from ppcds.transforms.view import RandomApply, ToArray, View

__all__ = [
    "MEAN",
    "STD",
    "TRANSFORMS",
    "ColorJitter",
    "Cutout",
    "GaussianBlur",
    "RandomApply",
    "RandomCrop",
    "RandomGrayscale",
    "ToArray",
    "View",
    "build_view",
    "evaluation_view",
    "notebook_views",
]
