"""Options given by name in a recipe, checked against the signature of what they are given to."""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Callable, Iterable

import pydantic

from ppcds.errors import UserError


def not_boolean(value):
    """A number's validator: true is no number, although Python would take it for 1."""
    if isinstance(value, bool):
        raise ValueError("should be a number")
    return value


def check_options(target: Callable, given: dict, where: str, skip: tuple[str, ...] = ()) -> dict:
    """The options of `target` (a class or function): `given` converted to the annotated types, and defaults.

    `where` is the recipe key that holds them, for messages; `skip` names parameters that do not come from
    a recipe. Raises UserError for unknown names (with the nearest known one), missing ones and wrong types.
    """
    constructor = target.__init__ if inspect.isclass(target) else target
    hints = typing.get_type_hints(constructor, include_extras=True)
    fields = {}
    for name, parameter in inspect.signature(target).parameters.items():
        if name not in skip:
            default = ... if parameter.default is parameter.empty else parameter.default
            kind = hints.get(name, typing.Any)
            if getattr(kind, "__origin__", kind) in (int, float):  # __origin__: of Annotated
                kind = typing.Annotated[kind, pydantic.BeforeValidator(not_boolean)]
            fields[name] = (kind, default)
    rules = pydantic.ConfigDict(extra="forbid", protected_namespaces=(), allow_inf_nan=False)
    schema = pydantic.create_model("Options", __config__=rules, **fields)
    try:
        checked = schema.model_validate(given)
    except pydantic.ValidationError as error:
        raise UserError(explain(error, schema, where)) from None
    return {name: getattr(checked, name) for name in fields}


def explain(error: pydantic.ValidationError, schema: type[pydantic.BaseModel], where: str = "") -> str:
    """One line for all problems of a validation: each with its dotted key and what to do."""
    problems = []
    for problem in error.errors():
        path, known = _walk(schema, [str(part) for part in problem["loc"]])
        key = ".".join(([where] if where else []) + path)
        if problem["type"] == "extra_forbidden":
            problems.append(f"{key}: unknown key{did_you_mean(path[-1], known)}")
        elif problem["type"] == "missing":
            problems.append(f"{key}: missing")
        elif problem["type"] == "union_tag_not_found":
            problems.append(f"{key}.name: missing")
        elif problem["type"] == "union_tag_invalid":
            tags = [tag.strip(" '") for tag in problem["ctx"]["expected_tags"].split(",")]
            tag = problem["ctx"]["tag"]
            problems.append(f"{key}.name: {tag!r} is unknown{did_you_mean(tag, tags)}")
        else:
            reason = problem["msg"].replace("Input should be", "should be").replace("Value error, ", "")
            problems.append(f"{key}: {problem['input']!r} {reason}" if path else reason)
    return "; ".join(problems)


def _walk(schema: type[pydantic.BaseModel], loc: list[str]) -> tuple[list[str], list[str]]:
    """The dotted path that a user wrote for pydantic's `loc`, and the keys known where it ends.

    Where a key may hold one of several sections, `loc` has the chosen one's name, which nobody wrote.
    """
    sections, path, known = [schema], [], []
    for part in loc:
        names = {getattr(s.model_fields.get("name"), "annotation", None): s for s in sections}
        chosen = [s for kind, s in names.items() if part in typing.get_args(kind)]
        if len(sections) > 1 and chosen:
            sections = chosen
            continue
        path.append(part)
        known = [name for section in sections for name in section.model_fields]
        kinds = [s.model_fields[part].annotation for s in sections if part in s.model_fields]
        sections = [s for kind in kinds for s in (kind, *typing.get_args(kind)) if hasattr(s, "model_fields")]
    return path, known


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest of `known` as the end of a sentence, or all of them when none is near."""
    known = list(known)
    nearest = difflib.get_close_matches(word, known, n=1)
    return f", did you mean {nearest[0]!r}?" if nearest else f"; known are {', '.join(known) or 'none'}"
