"""What of a recipe may change between a stop and a resume, and what is said of the rest."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ppcds.config import Recipe
from ppcds.errors import UserError
from ppcds.methods import METHODS
from ppcds.options import did_you_mean

MAY_CHANGE = {  # what no weight depends on, if the images themselves are the same
    "data.root",
    "data.cache",
    "data.colours",  # what it puts into the views is compared there
    "data.num_workers",
    "data.on_bad_image",
    "run.output_dir",
    "run.log_steps",
    "run.threads",
    "run.keep_checkpoints",
}


def changes(before: Recipe, now: Recipe) -> dict[str, tuple[Any, Any]]:
    """{dotted key: its value before and now} of what differs; null where a recipe has no such key.

    Of a mapping that both recipes have, the keys in it; of one that only one of them has, all of it.
    """
    pairs = _pairs(before.model_dump(mode="json"), now.model_dump(mode="json"))
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1] and not _both_mappings(pair)}


def require_allowed(
    path: Path, before: Recipe, now: Recipe, allowed: Collection[str] = ()
) -> dict[str, tuple[Any, Any]]:
    """What `changes` tells; UserError unless that makes no difference or is `allowed` (--allow-change).

    path: of the checkpoint, for the message.  A key of `allowed` that does not exist is an error too; one
    that has not changed is none: the same command may go on with a run twice.
    """
    found, known = changes(before, now), _pairs(before.model_dump(mode="json"), now.model_dump(mode="json"))
    for key in sorted(set(allowed) - set(known)):
        raise UserError(f"--allow-change {key}: there is no such key{did_you_mean(key, known)}")
    refused = [key for key in found if key not in {*allowed, *MAY_CHANGE, *_of_no_effect(now)}]
    if refused:
        said = ", ".join(f"{key} ({_change(*found[key])})" for key in refused)
        keys = " ".join([*allowed, *refused])
        raise UserError(
            f"{path}: the recipe has changed since, in {said}: go on with that of the run, or tell train.py "
            f"--resume that this is meant: --allow-change {keys}"
        )
    return found


def describe_changes(found: dict[str, tuple[Any, Any]]) -> list[str]:
    """A line for the log for each key that differs."""
    return [f"since the last time, {key} has changed: {_change(*pair)}" for key, pair in found.items()]


def _of_no_effect(recipe: Recipe) -> set[str]:
    """Keys that this recipe may change because of what else is in it."""
    free = set()
    options = recipe.method.options()
    followed = [options.get(name) for name in METHODS[recipe.method.name].schedules]
    if recipe.optim.schedule.name != "cosine" and set(followed) <= {"constant"}:
        free.add("optim.epochs")  # else what was done so far would have been done otherwise
    if recipe.data.classes is None:
        free.add("data.classes")  # which a run fills in
    return free


def _pairs(before: dict, now: dict, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """{dotted key: its value before and now} of all keys inside of the sections of two dumped recipes."""
    pairs = {}
    for key in sorted({*before, *now}):
        pair = before.get(key), now.get(key)
        if prefix:
            pairs[prefix + key] = pair
        if _both_mappings(pair):
            pairs.update(_pairs(*pair, f"{prefix}{key}."))
    return pairs


def _both_mappings(pair: tuple[Any, Any]) -> bool:
    return all(isinstance(value, dict) for value in pair)


def _change(before: Any, now: Any) -> str:
    return f"{_shown(before)} -> {_shown(now)}"


def _shown(value: Any) -> str:
    """A value in at most forty characters."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
