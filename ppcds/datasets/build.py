"""The splits that a recipe names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ppcds.config import DataSection, Recipe
from ppcds.datasets import LAYOUTS
from ppcds.datasets.cache import packed_images
from ppcds.datasets.class_folders import ClassFolders
from ppcds.datasets.colours import measure_colours, with_colours
from ppcds.datasets.csv_split import CSVSplit
from ppcds.datasets.file_split import FileSplit
from ppcds.datasets.split import ImageSplit
from ppcds.datasets.subset import hold_back, labelled_subset, stratified_part
from ppcds.errors import UserError
from ppcds.options import did_you_mean
from ppcds.transforms.build import build_view
from ppcds.transforms.view import View

NO_SPORTS10 = """there is no {csv}
  Get Sports10 (README, section "Data"; on AI Studio add it to your project), then unpack and check it with
    python tools/prepare_data.py Sports10.zip --root {parent}
  Without it, this runs the whole way on ten Atari games:  python tools/train.py -c demo"""


def prepare_layout(recipe: Recipe) -> type[ImageSplit]:
    """The data set class of `data.layout`, its data made if it can make them. Raises UserError if absent."""
    data, layout = recipe.data, _find_layout(recipe)
    if hasattr(layout, "make"):
        layout.make(data.root)
    csv = Path(data.root) / "train_split.csv"
    if data.layout == "sports10" and not csv.is_file():
        raise UserError(NO_SPORTS10.format(csv=csv, parent=Path(data.root).parent))
    return layout


def recipe_classes(recipe: Recipe) -> tuple[str, ...]:
    """Class names in the order of their ids; data are read only where recipe and layout do not tell them.

    Raises UserError if data.classes contradicts the layout or names a class twice, or if nothing tells them.
    """
    data = recipe.data
    layout = _find_layout(recipe)
    fixed = layout.CLASSES
    if data.classes is None:
        train = _split_name(data, "train")
        expected = Path(data.root) / ("" if issubclass(layout, ClassFolders) else f"{train}_split.csv")
        if fixed is None and not expected.exists():
            raise UserError(f"data.classes: not in the recipe, and there is no {expected} to read them from")
        return fixed or layout.class_names(Path(data.root), train)
    if fixed is not None and tuple(data.classes) != tuple(fixed):
        raise UserError(f"data.classes: layout {data.layout} has classes of its own: leave this key out")
    if not data.classes or len(set(data.classes)) < len(data.classes):
        raise UserError(f"data.classes: {data.classes} is empty or names a class twice")
    return tuple(data.classes)


def build_train_split(recipe: Recipe, views_used: int) -> ImageSplit:
    """The training split with the first `views_used` training views of the recipe.

    Of the images in train, those of data.train_images, without those of data.hold_back; of their labels,
    data.label_fraction. The other rows have label -1, or are left out by data.labelled_only.
    """
    settle_colours(recipe)
    views = build_train_views(recipe, views_used)
    data, whole = recipe.data, _split(recipe, "train", views)
    if data.on_bad_image == "skip":
        whole.on_bad_image = "replace"
    split = whole.take(_kept_and_held(data, whole.labels)[0])
    if data.label_fraction < 1:
        kept = labelled_subset(split.labels, data.label_fraction, data.subset_seed)
        labels = np.full_like(split.labels, -1)
        labels[kept] = split.labels[kept]
        split.labels = labels
    if data.labelled_only:
        split = split.take(np.flatnonzero(split.labels >= 0))
    return split


def build_train_views(recipe: Recipe, views_used: int) -> list[View]:
    """The first `views_used` training views of the recipe. Raises UserError if there are fewer."""
    steps = recipe.views.train
    if len(steps) < views_used:
        raise UserError(
            f"views.train has {len(steps)} view(s), method {recipe.method.name} needs {views_used}"
        )
    return [
        build_view(view, f"views.train[{i}]", recipe.views.on_device)
        for i, view in enumerate(steps[:views_used])
    ]


def build_eval_split(recipe: Recipe, split: str = "val") -> ImageSplit:
    """A split with the evaluation view."""
    settle_colours(recipe)
    return _split(recipe, split, [build_view(recipe.views.eval, "views.eval")])


def settle_colours(recipe: Recipe) -> None:
    """Put the colours of the training images into the recipe's views, where data.colours asks for that.

    From then on they are given, so that a run's weights can be used without its data.
    """
    data = recipe.data
    of_its_own = _find_layout(recipe).CLASSES is not None  # data sets that the recipes are made for
    if data.colours == "measured" or (data.colours == "auto" and not of_its_own):
        colours = measure_colours(_split(recipe, "train", []))
        recipe.views.train = with_colours(recipe.views.train, colours)
        recipe.views.eval = with_colours(recipe.views.eval, colours)
    data.colours = "given"


def build_held_back_split(recipe: Recipe) -> ImageSplit:
    """The images that data.hold_back takes out of training, with the evaluation view. All have labels."""
    if not recipe.data.hold_back:
        raise UserError("data.hold_back is 0: give the share of the training images that is held back")
    whole = build_eval_split(recipe, "train")
    held = _kept_and_held(recipe.data, whole.labels)[1]
    if not len(held):
        raise UserError(
            f"data.hold_back {recipe.data.hold_back:g}: no class has a second labelled image to hold back"
        )
    return whole.take(held)


def build_probe_splits(recipe: Recipe) -> tuple[ImageSplit, ImageSplit]:
    """Train and val for a probe: the images that are trained on, all their labels, the evaluation view."""
    recipe = recipe.model_copy(deep=True)
    recipe.data.label_fraction, recipe.data.labelled_only = 1.0, True
    train, test = build_train_split(recipe, views_used=0), build_eval_split(recipe)
    train.views, train.on_bad_image = test.views, test.on_bad_image
    return train, test


def _kept_and_held(data: DataSection, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the rows of train, those that are trained on and those held back."""
    rows = np.arange(len(labels))
    if data.train_images is not None:
        if data.train_images > len(labels):
            raise UserError(
                f"data.train_images {data.train_images} is larger than the {len(labels)} training images"
            )
        rows = stratified_part(labels, data.train_images, data.subset_seed)
    kept, held = hold_back(labels[rows], data.hold_back, data.subset_seed)
    return rows[kept], rows[held]


def _split(recipe: Recipe, split: str, views: list) -> ImageSplit:
    data = recipe.data
    layout = prepare_layout(recipe)
    options = {"views": views, "size": tuple(data.size), "interpolation": data.interpolation}
    classes = recipe_classes(recipe) if data.classes else None
    if layout.CLASSES is None:
        options["classes"] = classes
    if issubclass(layout, FileSplit):  # the others' images are in no files of their own
        options["decode"] = data.decode
    if data.splits and not issubclass(layout, CSVSplit):
        raise UserError(f"data.splits: layout {data.layout} has no tables, leave this key out")
    whole = layout(data.root, _split_name(data, split), **options)
    whole.on_bad_image = "leave out" if data.on_bad_image == "skip" else "error"
    whole.packed = packed_images(whole, data.cache)
    return whole


def _split_name(data: DataSection, split: str) -> str:
    """The split's own name, of which <name>_split.csv is the table."""
    return f"{data.splits}_{split}" if data.splits else split


def _find_layout(recipe: Recipe) -> type[ImageSplit]:
    name = recipe.data.layout
    if name not in LAYOUTS:
        raise UserError(f"data.layout: no layout {name!r}{did_you_mean(name, LAYOUTS)}")
    return LAYOUTS[name]
