"""What paddle.save makes of a state dict, as plain arrays by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ppcds.bfloat16 import single_of_bfloat16
from ppcds.safe_pickle import read_pickle

NAME_TABLE = "StructuredToParameterName@@"  # generated names, of no use to us
SLICES = "UnpackBigParamInfor@@"  # {name: shape and names of parts}, of arrays above 1 GB in protocol 2


def read_paddle_pickle(path: Path) -> object:
    """The dict of a `.pdparams`, arrays by name as a rule; nothing in it is executed.

    Arrays that Paddle has cut are whole again, and its bfloat16 is float32 of the same values.
    Raises ValueError, or what a damaged file leads to.
    """
    with open(path, "rb") as file:
        content = read_pickle(file)
    if isinstance(content, dict):
        content.pop(NAME_TABLE, None)
        _join_slices(content)
        _widen_bfloat16(content)
    return content


def _join_slices(content: dict) -> None:
    """Put together, in place, the arrays that Paddle has cut because protocol 2 ends at 4 GB."""
    for name, about in content.pop(SLICES, {}).items():
        names, shape = about["slices"], about["OriginShape"]
        if type(names) is not list or not all(type(part) is str for part in names):
            raise ValueError(f"{SLICES} names no parts")
        parts = [content.pop(part) for part in names]
        # one array under many names would grow with each of them
        if not all(isinstance(part, np.ndarray) for part in parts) or len({*map(id, parts)}) < len(parts):
            raise ValueError(f"{SLICES} names parts that are no arrays, or one of them twice")
        content[name] = np.concatenate(parts).reshape(shape)


def _widen_bfloat16(content: dict) -> None:
    """Make float32 of the arrays of uint16, a type that Paddle has for nothing else."""
    made = {}  # of each array once: the same may stand under any number of names
    for name, value in content.items():
        if isinstance(value, np.ndarray) and value.dtype == np.uint16:
            if id(value) not in made:
                made[id(value)] = value, single_of_bfloat16(value)
            content[name] = made[id(value)][1]
