"""Image operations, the views made of them, and the notebook's presets."""

from ppcds.transforms.arrays import Normalize, ToArray
from ppcds.transforms.blur import GaussianBlur
from ppcds.transforms.build import TRANSFORMS, build_view
from ppcds.transforms.color import ColorJitter
from ppcds.transforms.crop import RandomCrop
from ppcds.transforms.cutout import Cutout
from ppcds.transforms.flip import RandomHorizontalFlip
from ppcds.transforms.grayscale import RandomGrayscale
from ppcds.transforms.presets import MEAN, STD, evaluation_view, notebook_views
from ppcds.transforms.random_apply import RandomApply
from ppcds.transforms.resized_crop import RandomResizedCrop
from ppcds.transforms.view import View
from ppcds.transforms.whole_batch import apply_to_batch

__all__ = [
    "MEAN",
    "STD",
    "TRANSFORMS",
    "ColorJitter",
    "Cutout",
    "GaussianBlur",
    "Normalize",
    "RandomApply",
    "RandomCrop",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "ToArray",
    "View",
    "apply_to_batch",
    "build_view",
    "evaluation_view",
    "notebook_views",
]
