"""An unpickler for dictionaries of NumPy arrays that runs no code but this file's."""

from __future__ import annotations

import pickle
import re

import numpy as np


class _Dtype:
    """Stands for numpy.dtype: a number type such as f4, and its byte order."""

    def __init__(self, code: str, align: bool = False, copy: bool = False):
        if not isinstance(code, str) or not re.fullmatch(r"b1|[iu][1248]|f[248]|c(8|16)", code):
            raise pickle.UnpicklingError(f"{code!r} is no type of numbers")
        self.code = code
        self.order = "="

    def __setstate__(self, state):
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"{order!r} is no byte order")
        self.order = order


class _Array:
    """Stands for numpy.ndarray and for the function that makes an empty one; becomes an array by `array`."""

    def __init__(self, *_):
        self.array = None

    def __setstate__(self, state):
        _, shape, dtype, fortran_order, data = state
        if isinstance(data, str):  # bytes as Python 2 pickled them
            data = str.encode(data, "latin1")
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
            raise pickle.UnpicklingError("an array of other things than numbers")
        flat = np.frombuffer(data, np.dtype(dtype.order + dtype.code)).astype(dtype.code)
        self.array = flat.reshape(shape, order="F" if fortran_order else "C")


class _Bytes:
    """Stands for _codecs.encode, by which protocol 2 writes bytes as a latin-1 string."""

    def __new__(cls, text: str, encoding: str):
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"{encoding!r} is not how pickle writes bytes")
        return str.encode(text, "latin1")

    def __setstate__(self, state):
        raise pickle.UnpicklingError("bytes have no state")


class _Dict(dict):
    """Stands for collections.OrderedDict: today's dict keeps its order."""

    def __setstate__(self, state):
        raise pickle.UnpicklingError("a dictionary has no state")


# Each of these is a class with a __setstate__ of its own, on purpose: without one, a pickle could set
# attributes of the class itself. None of them reaches NumPy's own unpickling, which trusts its input.
_KNOWN = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _Array,  # NumPy 1
    ("numpy._core.multiarray", "_reconstruct"): _Array,  # NumPy 2
    ("_codecs", "encode"): _Bytes,
    ("collections", "OrderedDict"): _Dict,
}


class ArrayUnpickler(pickle.Unpickler):
    """Reads arrays and plain containers; any other global raises pickle.UnpicklingError."""

    def find_class(self, module: str, name: str):
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which weights do not need")
        return _KNOWN[module, name]

    def persistent_load(self, pid):
        raise pickle.UnpicklingError("it refers to objects outside the file")

    def load(self):
        """The file's object; arrays in a dictionary at the top are NumPy arrays."""
        content = super().load()
        if isinstance(content, dict):
            content = {k: v.array if isinstance(v, _Array) else v for k, v in content.items()}
        return content
