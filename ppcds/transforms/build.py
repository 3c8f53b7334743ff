"""From the recipe's lists of steps to views."""

from __future__ import annotations

import inspect

from ppcds.errors import UserError
from ppcds.options import did_you_mean
from ppcds.transforms.arrays import Normalize, ToArray
from ppcds.transforms.blur import GaussianBlur
from ppcds.transforms.color import ColorJitter
from ppcds.transforms.crop import RandomCrop
from ppcds.transforms.cutout import Cutout
from ppcds.transforms.flip import RandomHorizontalFlip
from ppcds.transforms.grayscale import RandomGrayscale
from ppcds.transforms.option_values import OPTIONS
from ppcds.transforms.paddle_jitter import PaddleColorJitter
from ppcds.transforms.random_apply import RandomApply
from ppcds.transforms.resized_crop import RandomResizedCrop
from ppcds.transforms.view import View

TRANSFORMS = {
    "RandomHorizontalFlip": RandomHorizontalFlip,
    "RandomCrop": RandomCrop,
    "RandomResizedCrop": RandomResizedCrop,
    "ColorJitter": ColorJitter,
    "PaddleColorJitter": PaddleColorJitter,  # what the notebook ran; see ColorJitter for the difference
    "RandomGrayscale": RandomGrayscale,
    "GaussianBlur": GaussianBlur,
    "RandomApply": RandomApply,
    "ToArray": ToArray,
    "Cutout": Cutout,
    "Normalize": Normalize,
}
ON_ARRAYS = (Cutout, Normalize)  # these come after ToArray, everything else before it


def build_view(steps: list, where: str = "view", on_device: bool = False) -> View:
    """Build a view from a recipe's list: each entry a name of TRANSFORMS or {name: {option: value}}.

    where: the list's place in the recipe ("views.train[0]"), which the messages of UserError begin with.
    on_device: refuse what can only be done on the processor.
    """
    if not isinstance(steps, list) or not steps:
        raise UserError(f"{where}: expected a list of transforms, not {steps!r}")
    built = [build_transform(entry, f"{where}[{i}]") for i, entry in enumerate(steps)]
    _check_order(built, where)
    for i, step in enumerate(built):
        inner = _innermost(step)
        if on_device and not hasattr(inner, "apply_on_device"):
            raise UserError(
                f"{where}[{i}]: {type(inner).__name__} works on the processor only: take another transform, "
                "or views.on_device: false"
            )
    return View(built, on_device)


def build_transform(entry, where: str):
    """Build one transform from its name or {name: {option: value}}; UserError says what is wrong where."""
    if isinstance(entry, dict) and len(entry) == 1:
        ((name, options),) = entry.items()
        options = {} if options is None else options
    else:
        name, options = entry, {}
    if not isinstance(name, str) or not isinstance(options, dict):
        raise UserError(f"{where}: expected a name or {{Name: {{option: value}}}}, not {entry!r}")
    if name not in TRANSFORMS:
        raise UserError(f"{where}: unknown transform {name!r}{did_you_mean(name, TRANSFORMS)}")

    where = f"{where}.{name}"
    # options that OPTIONS does not list (`keys`, `data_format`) are not for recipes
    known = {n: p for n, p in inspect.signature(TRANSFORMS[name]).parameters.items() if n in OPTIONS}
    arguments = {}
    for option, value in options.items():
        if option not in known:
            raise UserError(f"{where}: unknown option {option!r}{did_you_mean(str(option), known)}")
        if option == "func":
            arguments[option] = build_transform(value, f"{where}.func")
            continue
        is_right, description = OPTIONS[option]
        if not is_right(value):
            raise UserError(f"{where}.{option}: {value!r} is not {description}")
        arguments[option] = value
    for option, parameter in known.items():
        if parameter.default is parameter.empty and option not in options:
            raise UserError(f"{where}: option {option!r} is missing")
    try:
        return TRANSFORMS[name](**arguments)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _check_order(built: list, where: str) -> None:
    """Image steps, ToArray once, array steps: another order would give wrong colours in silence."""
    places = [i for i, step in enumerate(built) if isinstance(step, ToArray)]
    if len(places) != 1:
        raise UserError(f"{where}: needs ToArray exactly once, it is there {len(places)} times")
    for i, step in enumerate(built):
        inner = _innermost(step)
        if i != places[0] and isinstance(inner, ON_ARRAYS) != (i > places[0]):
            side = "before" if i > places[0] else "after"
            raise UserError(f"{where}[{i}]: {type(inner).__name__} has to come {side} ToArray")


def _innermost(step):
    """What a transform applies by chance, or the transform itself."""
    while isinstance(step, RandomApply):
        step = step.func
    return step
