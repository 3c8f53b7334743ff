"""A pickle of arrays read as data: the dozen instructions that such a file needs, and nothing called.

pickle.Unpickler calls what a file names, sets attributes, and makes room for whatever length a file states.
Here the standard library takes the file apart (pickletools), this module follows the instructions, and
pickle_objects makes arrays of the parts. Every instruction costs bytes of the file, so its size bounds time.
"""

from __future__ import annotations

import os
import pickletools
from typing import BinaryIO

from ppcds.pickle_objects import KNOWN, Global, NotData, Objects, finished, shallow

MOST_INSTRUCTIONS = 2_000_000  # a network has 30 a tensor, a batch of CIFAR-100 five an image
LONGEST_LINE = 1000  # of instructions that end with their line: names of globals

VALUES = {  # instructions that push what stands in the file
    "BINBYTES", "BINBYTES8", "BINFLOAT", "BININT", "BININT1", "BININT2", "BINSTRING", "BINUNICODE",
    "BINUNICODE8", "LONG1", "SHORT_BINBYTES", "SHORT_BINSTRING", "SHORT_BINUNICODE",
}  # fmt: skip
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
NEW = {"EMPTY_DICT": dict, "EMPTY_LIST": list}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickle(file: BinaryIO) -> object:
    """The object of a pickle, of dict, list, tuple, str, bytes, numbers and NumPy arrays of numbers.

    The arrays are writable and in this machine's byte order; a dict's keys are str.  Bytes that Python 2
    wrote come as str (latin-1).  Raises NotData for anything else, ValueError if the file is damaged.
    """
    source = _Source(file)
    stack = _Stack(source.left)
    for count, (opcode, argument, _) in enumerate(pickletools.genops(source)):
        if opcode.name == "STOP":
            return finished(stack.pop())
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


class _Stack:
    """What a pickle works on.  size: of the file, in bytes."""

    def __init__(self, size: int) -> None:
        self.items: list = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        self.objects = Objects(size)

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
            self.items.append(shallow(found if TUPLES[name] > 1 else (found,)))
        elif name == "TUPLE":
            self.items.append(shallow(tuple(self.pop_to_mark())))
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
            self.items.append(Global(names))
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
            self.items.append(self.objects.made(function, arguments))
        elif name == "BUILD":
            state = self.pop()
            self.objects.fill(self.top(object), state)
        elif name not in ("PROTO", "FRAME"):
            raise NotData(f"the instruction {name}, which weights do not need")

    def top(self, kind: type) -> object:
        """The topmost item, left there."""
        item = self.pop()
        if not isinstance(item, kind):
            raise NotData(f"an instruction for a {kind.__name__} finds a {type(item).__name__}")
        self.items.append(item)
        return item
