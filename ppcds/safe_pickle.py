"""A pickle of arrays read as data: the dozen instructions that such a file needs, and nothing called.

pickle.Unpickler calls what a file names, sets attributes, and makes room for whatever length a file states.
Here the standard library takes the file apart (pickletools) and this module puts arrays and plain containers
together from the parts. Every object costs bytes of the file, so its size bounds memory and time.
"""

from __future__ import annotations

import math
import os
import pickletools
import re
from typing import BinaryIO

import numpy as np

MOST_INSTRUCTIONS = 2_000_000  # a network has 30 a tensor, a batch of CIFAR-100 five an image
MOST_AXES = 32  # as NumPy 1 has it
LONGEST_TUPLE = 64  # a shape has as many items as axes, a state nine
LONGEST_LINE = 1000  # of instructions that end with their line: names of globals
NUMBERS = re.compile(r"b1|[iu][1248]|f[248]|c(8|16)")  # types of numbers, as dtype takes them

ARRAY = ("numpy", "ndarray")
DTYPE = ("numpy", "dtype")
EMPTY_ARRAYS = {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")}
SCALARS = {("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar")}
NO_BYTES = {("__builtin__", "bytes"), ("builtins", "bytes")}  # of which protocol 2 makes empty ones
BYTES = ("_codecs", "encode")  # by which protocol 2 writes bytes as a string
DICT = ("collections", "OrderedDict")
KNOWN = {ARRAY, DTYPE, *EMPTY_ARRAYS, *SCALARS, *NO_BYTES, BYTES, DICT}

VALUES = {  # instructions that push what stands in the file
    "BINBYTES", "BINBYTES8", "BINFLOAT", "BININT", "BININT1", "BININT2", "BINSTRING", "BINUNICODE",
    "BINUNICODE8", "LONG1", "SHORT_BINBYTES", "SHORT_BINSTRING", "SHORT_BINUNICODE",
}  # fmt: skip
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
NEW = {"EMPTY_DICT": dict, "EMPTY_LIST": list}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class NotData(ValueError):
    """Why a pickle is not read."""


def read_pickle(file: BinaryIO) -> object:
    """The object of a pickle, of dict, list, tuple, str, bytes, numbers and NumPy arrays of numbers.

    The arrays are writable and in this machine's byte order; a dict's keys are str.  Bytes that Python 2
    wrote come as str (latin-1).  Raises NotData for anything else, ValueError if the file is damaged.
    """
    source = _Source(file)
    stack = _Stack(source.left)
    for count, (opcode, argument, _) in enumerate(pickletools.genops(source)):
        if opcode.name == "STOP":
            return _finished(stack.pop())
        if count >= MOST_INSTRUCTIONS:
            raise NotData(f"more than {MOST_INSTRUCTIONS:,} instructions, which weights do not need")
        stack.perform(opcode.name, argument)
    raise NotData("it has no end")


class _Source:
    """A file of which no more is asked than it has, whatever length stands in it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.left = file.seek(0, os.SEEK_END)
        file.seek(0)

    def read(self, size: int) -> bytes:
        data = self.file.read(min(size, self.left))
        self.left -= len(data)
        return data

    def readline(self) -> bytes:
        line = self.file.readline(LONGEST_LINE)
        self.left -= len(line)
        return line


class _Global(tuple):
    """(module, name): only a name, nothing is imported."""


class _Dtype:
    """A type of numbers such as f4, and its byte order."""

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "="


class _Array:
    """An array that a later instruction fills."""

    array: np.ndarray | None = None


class _Stack:
    """What a pickle works on.  size: of the file, in bytes."""

    def __init__(self, size: int) -> None:
        self.items: list = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        self.room = 2 * size  # bytes that may be made of those of the file, as bytes and then as arrays

    def pop(self, count: int = 1) -> object:
        """The topmost item, or a tuple of `count` where that is more than 1."""
        if len(self.items) - count < (self.marks[-1] if self.marks else 0):
            raise NotData("an instruction finds nothing to work on")
        found = tuple(self.items[-count:])
        del self.items[-count:]
        return found if count > 1 else found[0]

    def pop_to_mark(self) -> list:
        if not self.marks:
            raise NotData("an instruction finds no mark")
        start = self.marks.pop()
        found = self.items[start:]
        del self.items[start:]
        return found

    def perform(self, name: str, argument: object) -> None:
        """One instruction, by its name in pickletools."""
        if name in VALUES:
            self.items.append(argument)
        elif name in CONSTANTS:
            self.items.append(CONSTANTS[name])
        elif name in NEW:
            self.items.append(NEW[name]())
        elif name in TUPLES:
            found = self.pop(TUPLES[name])
            self.items.append(_shallow(found if TUPLES[name] > 1 else (found,)))
        elif name == "TUPLE":
            self.items.append(_shallow(tuple(self.pop_to_mark())))
        elif name == "MARK":
            self.marks.append(len(self.items))
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if argument is None else argument] = self.top(object)
        elif name in ("BINGET", "LONG_BINGET"):
            if argument not in self.memo:
                raise NotData("it refers to an object that it does not hold")
            self.items.append(self.memo[argument])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            names = self.pop(2) if argument is None else argument.split(" ", 1)
            if not all(type(part) is str for part in names):
                raise NotData("a global without a name")
            if tuple(names) not in KNOWN:
                raise NotData(
                    f"it asks for {names[0]!r:.80}.{names[1]!r:.80}, and nothing is called: "
                    "weights are a dictionary of NumPy arrays, without other objects"
                )
            self.items.append(_Global(names))
        elif name in ("APPEND", "APPENDS"):
            values = [self.pop()] if name == "APPEND" else self.pop_to_mark()
            self.top(list).extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = list(self.pop(2)) if name == "SETITEM" else self.pop_to_mark()
            keys = values[::2]
            if len(values) % 2 or not all(type(key) is str for key in keys):
                raise NotData("a dictionary whose keys are not names")
            self.top(dict).update(zip(keys, values[1::2]))
        elif name == "REDUCE":
            function, arguments = self.pop(2)
            self.items.append(self.made(function, arguments))
        elif name == "BUILD":
            self.build(self.pop())
        elif name not in ("PROTO", "FRAME"):
            raise NotData(f"the instruction {name}, which weights do not need")

    def top(self, kind: type) -> object:
        """The topmost item, left there."""
        item = self.pop()
        if not isinstance(item, kind):
            raise NotData(f"an instruction for a {kind.__name__} finds a {type(item).__name__}")
        self.items.append(item)
        return item

    def made(self, function: object, arguments: object) -> object:
        """What a pickle calls a function for, of the few that are known."""
        if not isinstance(function, _Global) or type(arguments) is not tuple:
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
            return self.array_of((), arguments[0], False, arguments[1])
        if function in NO_BYTES and not arguments:
            return b""
        if function == BYTES and len(arguments) == 2 and arguments[1] == "latin1":
            return self.bytes_of(arguments[0])
        raise NotData(f"a call of {function[1]} that weights do not need")

    def build(self, state: object) -> None:
        """Fill the array, or complete the type of numbers, that is topmost."""
        item = self.top(object)
        if (
            type(item) is _Dtype
            and type(state) is tuple
            and len(state) > 1
            and state[1] in ("<", ">", "|", "=")
        ):
            item.order = state[1]
        elif type(item) is _Array and type(state) is tuple and len(state) == 5:
            item.array = self.array_of(*state[1:])
        else:
            raise NotData(f"a state for a {type(item).__name__}, which weights do not need")

    def array_of(self, shape: object, dtype: object, fortran_order: object, data: object) -> np.ndarray:
        if type(data) is str:
            data = self.bytes_of(data)
        if type(dtype) is not _Dtype or type(data) is not bytes:
            raise NotData("an array of other things than numbers")
        lengths = shape if type(shape) is tuple and len(shape) <= MOST_AXES else (None,)
        if not all(type(length) is int and length >= 0 for length in lengths):
            raise NotData("an array without a shape")
        kind = np.dtype(dtype.order + dtype.code)
        if math.prod(shape) * kind.itemsize != len(data):
            raise NotData(f"an array of shape {str(shape):.80} with {len(data)} bytes of numbers")
        self.take(len(data))
        flat = np.frombuffer(data, kind).astype(dtype.code)
        return flat.reshape(shape, order="F" if fortran_order is True else "C")

    def bytes_of(self, text: object) -> bytes:
        if type(text) is not str:
            raise NotData("bytes of something that is not text")
        self.take(len(text))
        return text.encode("latin1")

    def take(self, size: int) -> None:
        """Raises NotData if the same bytes of the file are made into arrays again and again."""
        self.room -= size
        if self.room < 0:
            raise NotData("its arrays are larger than the file")


def _shallow(found: tuple) -> tuple:
    """Raises NotData for tuples deeper than a state with its shape, which to hash or print has no end."""
    inner = [part for item in found if type(item) is tuple for part in item]
    if len(found) > LONGEST_TUPLE or any(type(part) in (tuple, list, dict) for part in inner):
        raise NotData("nested or endless tuples, which weights do not need")
    return found


def _finished(content: object) -> object:
    """The object with its arrays in place, which are looked for where weights have them: in a dict."""
    if type(content) is dict:
        return {key: value.array if type(value) is _Array else value for key, value in content.items()}
    return content
