"""What was set, the unusual first, and what it ran on."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from importlib import metadata

import paddle
import yaml

from ppcds.config import RECIPES, Recipe, load_recipe
from ppcds.engine.recipe_changes import changes
from ppcds.methods.build import complete_options

FILLED_IN = {"data.classes", "run.output_dir"}  # by every run
ABSENT = object()
LONGEST = 160  # characters of a value; the whole recipe is below


def describe_recipe(recipe: Recipe) -> dict:
    """nearest: the shipped recipe with the fewest other values.  changed: (key, its value there, here), names
    of methods and the like first; "" where there is no such key there.

    text: the whole recipe as YAML, as a run would save it today.
    """
    recipe = completed(recipe)
    here = recipe.model_dump(mode="json")
    nearest, found = "", None
    for file in sorted(RECIPES.glob("*.yaml")):
        shipped = completed(load_recipe(file.stem))
        other = {key: pair for key, pair in changes(shipped, recipe).items() if key not in FILLED_IN}
        if found is None or len(other) < len(found):
            nearest, found = file.stem, other
    there = completed(load_recipe(nearest)).model_dump(mode="json")
    changed = []
    for key, (before, now) in sorted(found.items(), key=lambda pair: not pair[0].endswith(".name")):
        if _has(here, key):  # and is no option of another method
            for part in _parts(key, before if _has(there, key) else ABSENT, now):
                changed.append((part[0], *map(_shown, part[1:])))
    text = yaml.safe_dump(here, sort_keys=False, allow_unicode=True)
    return {"nearest": nearest, "changed": changed, "text": text}


def completed(recipe: Recipe) -> Recipe:
    """A copy with the defaults of the method's options: recipes of earlier versions lack newer keys."""
    recipe = recipe.model_copy(deep=True)
    complete_options(recipe)
    return recipe


def versions() -> str:
    """What the report was made with."""
    names = ["ppcds", "numpy", "scikit-learn", "altair"]
    found = [f"Python {platform.python_version()}", f"Paddle {paddle.__version__}"]
    return ", ".join(found + [f"{name} {metadata.version(name)}" for name in names])


def _has(values: dict, key: str) -> bool:
    """Whether a dumped recipe has a dotted key."""
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True


def _parts(key: str, before: object, now: object) -> Iterator[tuple[str, object, object]]:
    """Where two values differ: lists of as many transforms, and their options, one by one."""
    if isinstance(before, dict) and isinstance(now, dict):
        pairs = [
            (f"{key}.{name}", before.get(name, ABSENT), now.get(name, ABSENT)) for name in {**before, **now}
        ]
    elif _nested(before) and _nested(now) and len(before) == len(now):
        pairs = [(f"{key}[{i}]", *pair) for i, pair in enumerate(zip(before, now))]
    else:
        pairs = []
        yield key, before, now
    for pair in pairs:
        if pair[1] != pair[2]:
            yield from _parts(*pair)


def _nested(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(item, (list, dict)) for item in value)


def _shown(value: object) -> str:
    if value is ABSENT:
        return ""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
