"""What a pickle of arrays may ask to be made: arrays of numbers, and nothing is called for it.

Every object costs bytes of the file, so its size bounds memory.
"""

from __future__ import annotations

import math
import re

import numpy as np

MOST_AXES = 32  # as NumPy 1 has it
LONGEST_TUPLE = 64  # a shape has as many items as axes, a state nine
NUMBERS = re.compile(r"b1|[iu][1248]|f[248]|c(8|16)")  # types of numbers, as dtype takes them

ARRAY = ("numpy", "ndarray")
DTYPE = ("numpy", "dtype")
EMPTY_ARRAYS = {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")}
SCALARS = {("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar")}
NO_BYTES = {("__builtin__", "bytes"), ("builtins", "bytes")}  # of which protocol 2 makes empty ones
BYTES = ("_codecs", "encode")  # by which protocol 2 writes bytes as a string
DICT = ("collections", "OrderedDict")
KNOWN = {ARRAY, DTYPE, *EMPTY_ARRAYS, *SCALARS, *NO_BYTES, BYTES, DICT}


class NotData(ValueError):
    """Why a pickle is not read."""


class Global(tuple):
    """(module, name): only a name, nothing is imported."""


class _Dtype:
    """A type of numbers such as f4, and its byte order."""

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "="


class _Array:
    """An array that a later instruction fills."""

    array: np.ndarray | None = None


class Objects:
    """Makes what a pickle asks for.  size: of the file, in bytes."""

    def __init__(self, size: int) -> None:
        self.room = 2 * size  # bytes that may be made of those of the file, as bytes and then as arrays

    def made(self, function: object, arguments: object) -> object:
        """What a pickle calls a function for, of the few that are known."""
        if not isinstance(function, Global) or type(arguments) is not tuple:
            raise NotData("a call of something that is not a function")
        if function == DICT and not arguments:
            return {}
        if function in EMPTY_ARRAYS and arguments and arguments[0] == ARRAY:
            return _Array()
        if function == DTYPE and arguments and type(arguments[0]) is str:
            if not NUMBERS.fullmatch(arguments[0]):
                raise NotData(f"{arguments[0]!r:.80} is no type of numbers")
            return _Dtype(arguments[0])
        if function in SCALARS and len(arguments) == 2:
            return self._array_of((), arguments[0], False, arguments[1])
        if function in NO_BYTES and not arguments:
            return b""
        if function == BYTES and len(arguments) == 2 and arguments[1] == "latin1":
            return self._bytes_of(arguments[0])
        raise NotData(f"a call of {function[1]} that weights do not need")

    def fill(self, item: object, state: object) -> None:
        """Fill an array, or complete a type of numbers, from the state that a pickle has for it."""
        if (
            type(item) is _Dtype
            and type(state) is tuple
            and len(state) > 1
            and state[1] in ("<", ">", "|", "=")
        ):
            item.order = state[1]
        elif type(item) is _Array and type(state) is tuple and len(state) == 5:
            item.array = self._array_of(*state[1:])
        else:
            raise NotData(f"a state for a {type(item).__name__}, which weights do not need")

    def _array_of(self, shape: object, dtype: object, fortran_order: object, data: object) -> np.ndarray:
        if type(data) is str:
            data = self._bytes_of(data)
        if type(dtype) is not _Dtype or type(data) is not bytes:
            raise NotData("an array of other things than numbers")
        lengths = shape if type(shape) is tuple and len(shape) <= MOST_AXES else (None,)
        if not all(type(length) is int and length >= 0 for length in lengths):
            raise NotData("an array without a shape")
        kind = np.dtype(dtype.order + dtype.code)
        if math.prod(shape) * kind.itemsize != len(data):
            raise NotData(f"an array of shape {str(shape):.80} with {len(data)} bytes of numbers")
        self._take(len(data))
        flat = np.frombuffer(data, kind).astype(dtype.code)
        return flat.reshape(shape, order="F" if fortran_order is True else "C")

    def _bytes_of(self, text: object) -> bytes:
        if type(text) is not str:
            raise NotData("bytes of something that is not text")
        self._take(len(text))
        return text.encode("latin1")

    def _take(self, size: int) -> None:
        """Raises NotData if the same bytes of the file are made into arrays again and again."""
        self.room -= size
        if self.room < 0:
            raise NotData("its arrays are larger than the file")


def shallow(found: tuple) -> tuple:
    """Raises NotData for tuples deeper than a state with its shape, which to hash or print has no end."""
    inner = [part for item in found if type(item) is tuple for part in item]
    if len(found) > LONGEST_TUPLE or any(type(part) in (tuple, list, dict) for part in inner):
        raise NotData("nested or endless tuples, which weights do not need")
    return found


def finished(content: object) -> object:
    """The object with its arrays in place, which are looked for where weights have them: in a dict."""
    if type(content) is dict:
        return {key: value.array if type(value) is _Array else value for key, value in content.items()}
    return content
