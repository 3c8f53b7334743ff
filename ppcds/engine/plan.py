"""The recipes a command runs: of a comparison, each with every seed, or of a chain, one from another."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ppcds.config import Recipe, load_recipe
from ppcds.errors import UserError

Plan = dict[str, dict[int, Recipe]]  # label -> seed -> recipe


def plan_runs(runs: list[str], seeds: list[int], overrides: list[str], output: Path) -> Plan:
    """Recipes by label and seed; a run's folder is output/<label>/seed<k>.

    runs: "LABEL=RECIPE,key=value,..." each.  overrides: "key=value" of all runs; a run's own come after them.
    Raises UserError if a run, an override or a recipe is wrong, or if two labels would share a folder.
    """
    plan: Plan = {}
    folders: dict[str, str] = {}
    for text in runs:
        label, recipe, own = parse_run(text)
        folder = folder_name(label)
        if folder in folders:
            raise UserError(
                f"--run {text}: the label is too like {folders[folder]!r}, whose folder it shares"
            )
        folders[folder] = label
        for override in [*overrides, *own]:
            if override.startswith(("run.seed=", "run.output_dir=")):
                raise UserError(
                    f"{override}: seeds and folders of a comparison come from --seeds and --output"
                )
        plan[label] = {}
        for seed in seeds:
            place = [f"run.seed={seed}", as_override("run.output_dir", output / folder / f"seed{seed}")]
            plan[label][seed] = load_recipe(recipe, [*overrides, *own, *place])
    return plan


def parse_run(text: str) -> tuple[str, str, list[str]]:
    """(label, recipe, overrides) of "LABEL=RECIPE,key=value,..."; values may hold commas in [] and {}."""
    label, _, rest = text.partition("=")
    recipe, *overrides = split_at_commas(rest)
    if not folder_name(label) or not recipe or not all("=" in override for override in overrides):
        raise UserError(f"--run {text}: write LABEL=RECIPE, or LABEL=RECIPE,key=value,...")
    return label.strip(), recipe, overrides


def split_at_commas(text: str) -> list[str]:
    """The parts between commas that are in no bracket: "a=[1, 2],b=3" -> ["a=[1, 2]", "b=3"]."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def folder_name(label: str) -> str:
    """A label as the name of a folder: "CDS, weight 0.1" -> "cds_weight_0.1"."""
    return re.sub(r"[^\w.]+", "_", label.lower()).strip("_.")


@dataclass(frozen=True)
class Step:
    """A step of a chain.

    starts_from: the recipe's key for the weights that the step before leaves behind; None: it has no use for
    them, and starts as its recipe says.
    """

    name: str
    recipe: str
    starts_from: Optional[str] = None


def plan_chain(
    steps: Sequence[Step], overrides: list[str], own: Mapping[str, list[str]], output: Optional[Path]
) -> list[Recipe]:
    """The steps' recipes, each that has `starts_from` starting from the last weights of the one before.

    overrides: "key=value" for all steps.  own: those of each step alone, by its name; they come last.
    output: the folder of the steps' folders; None leaves them where the recipes say.
    """
    recipes: list[Recipe] = []
    for step in steps:
        keys = [as_override("run.output_dir", output / step.name)] if output else []
        if step.starts_from:
            weights = Path(recipes[-1].run.output_dir, "last_model.pdparams")
            keys.append(as_override(step.starts_from, weights))
        recipes.append(load_recipe(step.recipe, [*overrides, *keys, *own[step.name]]))
    return recipes


def common_threads(recipes: Sequence[Recipe]) -> Optional[int]:
    """The run.threads of all these recipes, which one process trains and whose times are compared.

    Raises UserError if they differ.
    """
    threads = list(dict.fromkeys(recipe.run.threads for recipe in recipes))
    if len(threads) > 1:
        found = " and ".join(str(number or "null (all cores)") for number in threads)
        raise UserError(
            f"run.threads is {found}: these runs share a process, and times are compared; "
            "set it for all of them, for instance -o run.threads=1"
        )
    return threads[0]


def as_override(key: str, path: Path) -> str:
    """The override that sets a key to a path, whatever characters it has."""
    return f"{key}={json.dumps(str(path), ensure_ascii=False)}"
