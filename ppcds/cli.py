"""What the command lines share: options of a recipe and of a chain of them, and errors as one line."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ppcds.config import Recipe, load_recipe
from ppcds.engine.plan import Step, plan_chain
from ppcds.errors import UserError


def add_recipe_options(
    parser: argparse.ArgumentParser, default: str | None = None, with_device: bool = True
) -> None:
    """Add -c NAME_OR_PATH, -o key=value (repeated) and --device, unless a tool has no choice of it."""
    said = f"default: {default}" if default else "default: recipe.yaml beside the weights"
    parser.add_argument("-c", "--recipe", default=default, metavar="NAME_OR_PATH", help=f"recipe ({said})")
    parser.add_argument(
        "-o", "--override", action="append", default=[], metavar="KEY=VALUE",
        help="change one key of the recipe, e.g. -o optim.learning_rate=0.05 (repeat for more)",
    )  # fmt: skip
    if with_device:
        parser.add_argument("--device", help="cpu, gpu or gpu:N (default: a GPU if Paddle sees one)")


def add_chain_options(
    parser: argparse.ArgumentParser, steps: Sequence[Step], output: Path | None = None
) -> None:
    """Add --recipes, --output (`output` by default), -o of all steps, --<step>-o of each, and --device."""
    parser.add_argument(
        "--recipes", nargs=len(steps), metavar="NAME_OR_PATH", default=[step.recipe for step in steps],
        help="a recipe a step (default: %(default)s)",
    )  # fmt: skip
    said = f"their folders go there (default: {output or 'as the recipes say'})"
    parser.add_argument("--output", type=Path, default=output, help=said)
    change = {"action": "append", "default": [], "metavar": "KEY=VALUE"}
    parser.add_argument("-o", "--override", help="change one key of every step (repeat for more)", **change)
    for step in steps:
        parser.add_argument(f"--{step.name}-o", dest=step.name, help=f"of step {step.name} alone", **change)
    parser.add_argument("--device", help="cpu, gpu or gpu:N (default: a GPU if Paddle sees one)")


def chain_of(args: argparse.Namespace, steps: Sequence[Step]) -> list[Recipe]:
    """plan_chain, of what was given to the options of add_chain_options."""
    steps = [replace(step, recipe=recipe) for step, recipe in zip(steps, args.recipes)]
    own = {step.name: getattr(args, step.name) for step in steps}
    return plan_chain(steps, args.override, own, args.output)


def run_to_resume(given: str) -> tuple[str, Path | None]:
    """The folder of a run, and the checkpoint in it that was named instead of the folder."""
    path = Path(given)
    if path.suffix != ".safetensors" or path.is_dir():
        return given, None
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint; the folder alone goes on from the latest")
    return str(path.parent), path


def recipe_of_run(folder: str) -> str:
    """The path of a run folder's own recipe."""
    path = Path(folder) / "recipe.yaml"
    if not path.is_file():
        raise UserError(f"{folder} is not a run that can be resumed: there is no recipe.yaml in it")
    return str(path)


def recipe_of_weights(recipe: str | None, weights: str, overrides: list[str]) -> Recipe:
    """The recipe named by -c, else the recipe.yaml of the run folder in which the weights lie."""
    if not Path(weights).is_file():
        raise UserError(f"{weights}: no such file")
    beside = Path(weights).parent / "recipe.yaml"
    if recipe is None and not beside.is_file():
        raise UserError(f"no recipe.yaml beside {weights}: name the recipe it was trained with (-c)")
    return load_recipe(recipe or str(beside), overrides)


def require_packages(extra: str, *packages: str) -> None:
    """Raise UserError, with the extra that brings them, unless these packages can be imported."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise UserError(f'this needs {" and ".join(missing)}: pip install -e ".[{extra}]"')


def run(main: Callable[[], int | None]) -> None:
    """Run a tool; a user's mistake ends it with a message on standard error and status 1, Ctrl-C with 130."""
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)
