"""What an example is: an image file, its label, and the data sets that list them."""

from ppcds.datasets.cifar import CIFAR10, convert_cifar10
from ppcds.datasets.class_folders import ClassFolders
from ppcds.datasets.csv_split import CSVSplit
from ppcds.datasets.demo import DemoFrames
from ppcds.datasets.file_split import FileSplit
from ppcds.datasets.images import read_image, resize
from ppcds.datasets.split import ImageSplit
from ppcds.datasets.sports10 import Sports10
from ppcds.datasets.stl10 import STL10

# data.layout of a recipe -> data set class
LAYOUTS = {
    "sports10": Sports10,
    "cifar10": CIFAR10,
    "stl10": STL10,
    "demo": DemoFrames,
    "csv": CSVSplit,
    "folder": ClassFolders,
}

__all__ = [
    "CIFAR10",
    "LAYOUTS",
    "STL10",
    "CSVSplit",
    "ClassFolders",
    "DemoFrames",
    "FileSplit",
    "ImageSplit",
    "Sports10",
    "convert_cifar10",
    "read_image",
    "resize",
]
