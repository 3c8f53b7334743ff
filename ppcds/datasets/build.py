"""The splits that a recipe names."""

from __future__ import annotations

from pathlib import Path

from ppcds.config import Recipe
from ppcds.datasets import LAYOUTS
from ppcds.datasets.csv_split import CSVSplit
from ppcds.errors import UserError
from ppcds.options import did_you_mean
from ppcds.transforms.build import build_view

NO_SPORTS10 = """there is no {csv}
  Get Sports10 (README, section "Data"; on AI Studio add it to your project), then unpack and check it with
    python tools/prepare_data.py Sports10.zip --root {parent}
  Without it, this runs the whole way on ten Atari games:  python tools/train.py -c demo"""


def prepare_layout(recipe: Recipe) -> type[CSVSplit]:
    """The data set class of `data.layout`, its data made if it can make them. Raises UserError if absent."""
    data = recipe.data
    if data.layout not in LAYOUTS:
        raise UserError(f"data.layout: no layout {data.layout!r}{did_you_mean(data.layout, LAYOUTS)}")
    layout = LAYOUTS[data.layout]
    if hasattr(layout, "make"):
        layout.make(data.root)
    csv = Path(data.root) / "train_split.csv"
    if data.layout == "sports10" and not csv.is_file():
        raise UserError(NO_SPORTS10.format(csv=csv, parent=Path(data.root).parent))
    return layout


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
    return layout(data.root, split, views=views, size=tuple(data.size), interpolation=data.interpolation)
