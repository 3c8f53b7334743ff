"""YAML from anywhere: plain values, in time and memory that its size bounds."""

from __future__ import annotations

import math
from pathlib import Path

import yaml

from ppcds.errors import UserError

LARGEST = 200_000  # bytes; a recipe has three thousand
MOST_VALUES = 100_000  # with each alias (*name) written out: ten lines of them can stand for millions


def read_yaml(path: Path) -> object:
    """What a YAML file holds, of dict, list, str, numbers and dates.

    Raises UserError naming the file if it is not YAML, or too large for a recipe, or nested without end.
    """
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path}: a recipe of more than {LARGEST:,} bytes is none")
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        if node is None:
            return None
        if _written_out(node, {}) > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values, or one that holds itself")
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as error:  # of numbers and dates too
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())[:300]}") from None


def _written_out(node: yaml.Node, sizes: dict[int, float]) -> float:
    """How many values a node stands for; infinite if it holds itself.  sizes: of nodes by their id."""
    if id(node) not in sizes:
        sizes[id(node)] = math.inf
        parts = [] if isinstance(node, yaml.ScalarNode) else node.value
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in parts for part in pair]
        sizes[id(node)] = 1 + sum(_written_out(part, sizes) for part in parts)
    return sizes[id(node)]
