"""The splits that a recipe names."""

from __future__ import annotations

from pathlib import Path

from ppcds.config import Recipe
from ppcds.datasets import LAYOUTS
from ppcds.datasets.csv_split import CSVSplit
from ppcds.datasets.split_table import class_names
from ppcds.errors import UserError
from ppcds.options import did_you_mean
from ppcds.transforms.build import build_view

NO_SPORTS10 = """there is no {csv}
  Get Sports10 (README, section "Data"; on AI Studio add it to your project), then unpack and check it with
    python tools/prepare_data.py Sports10.zip --root {parent}
  Without it, this runs the whole way on ten Atari games:  python tools/train.py -c demo"""


def prepare_layout(recipe: Recipe) -> type[CSVSplit]:
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
    fixed = _find_layout(recipe).CLASSES
    if data.classes is None:
        csv = Path(data.root) / "train_split.csv"
        if fixed is None and not csv.is_file():
            raise UserError(f"data.classes: not in the recipe, and there is no {csv} to read them from")
        return fixed or class_names(Path(data.root))
    if fixed is not None and tuple(data.classes) != tuple(fixed):
        raise UserError(f"data.classes: layout {data.layout} has classes of its own: leave this key out")
    if not data.classes or len(set(data.classes)) < len(data.classes):
        raise UserError(f"data.classes: {data.classes} is empty or names a class twice")
    return tuple(data.classes)


def build_train_split(recipe: Recipe, views_used: int) -> CSVSplit:
    """The training split with the first `views_used` training views of the recipe."""
    steps = recipe.views.train
    if len(steps) < views_used:
        raise UserError(
            f"views.train has {len(steps)} view(s), method {recipe.method.name} needs {views_used}"
        )
    views = [build_view(view, f"views.train[{i}]") for i, view in enumerate(steps[:views_used])]
    return _split(recipe, "train", views)


def build_eval_split(recipe: Recipe, split: str = "val") -> CSVSplit:
    """A split with the evaluation view."""
    return _split(recipe, split, [build_view(recipe.views.eval, "views.eval")])


def _split(recipe: Recipe, split: str, views: list) -> CSVSplit:
    data = recipe.data
    layout = prepare_layout(recipe)
    classes = recipe_classes(recipe) if data.classes else None
    size, resizing = tuple(data.size), data.interpolation
    return layout(data.root, split, views=views, size=size, interpolation=resizing, classes=classes)


def _find_layout(recipe: Recipe) -> type[CSVSplit]:
    name = recipe.data.layout
    if name not in LAYOUTS:
        raise UserError(f"data.layout: no layout {name!r}{did_you_mean(name, LAYOUTS)}")
    return LAYOUTS[name]
