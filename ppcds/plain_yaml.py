"""YAML from anywhere: plain values, in time and memory that its size bounds."""

from __future__ import annotations

import math
from pathlib import Path

import yaml

from ppcds.errors import UserError

LARGEST = 200_000  # bytes; a recipe has three thousand
MOST_VALUES = 100_000  # with each alias (*name) written out: ten lines of them can stand for millions

# what `plain_value` raises: of numbers and dates that there are not, too
NOT_YAML = (yaml.YAMLError, ValueError, ArithmeticError, RecursionError)
TEXT, NUMBERS = "tag:yaml.org,2002:str", ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def read_yaml(path: Path) -> object:
    """What a YAML file holds, of dict, list, str, numbers and dates.

    Raises UserError naming the file if it is not YAML, or too large for a recipe, or nested without end.
    """
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path}: a recipe of more than {LARGEST:,} bytes is none")
    try:
        return plain_value(path.read_text(encoding="utf-8"))
    except NOT_YAML as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())[:300]}") from None


def plain_value(text: str) -> object:
    """What YAML text stands for.  Raises one of NOT_YAML if it is none."""
    loader = _Loader(text)
    node = loader.get_single_node()
    if node is None:
        return None
    if _written_out(node, {}) > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES:,} values, or one that holds itself")
    return loader.construct_document(node)


class _Loader(yaml.SafeLoader):
    """Without numbers of base 60, as YAML 1.2 has it: 1:30 is text.

    Each of their digits would multiply a number as long as all that stand before it.
    """

    def resolve(self, kind, value, implicit):
        tag = super().resolve(kind, value, implicit)
        return TEXT if kind is yaml.ScalarNode and tag in NUMBERS and ":" in value else tag

    def construct_object(self, node, deep=False):
        if node.tag in NUMBERS and ":" in node.value:  # that is called one: !!int 1:30
            raise ValueError(f"{node.value[:40]!r} is no number")
        return super().construct_object(node, deep)


def _written_out(node: yaml.Node, sizes: dict[int, float]) -> float:
    """How many values a node stands for; infinite if it holds itself.  sizes: of nodes by their id."""
    if id(node) not in sizes:
        sizes[id(node)] = math.inf
        parts = [] if isinstance(node, yaml.ScalarNode) else node.value
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in parts for part in pair]
        sizes[id(node)] = 1 + sum(_written_out(part, sizes) for part in parts)
    return sizes[id(node)]
