"""Weights in files: read without running anything, written whole or not at all.

`.pdparams` is a pickle of {name: NumPy array}, as paddle.save writes a state dict; paddle.load would run
whatever its author put in. Here it is read as data (paddle_pickle).
Paddle itself is not imported: this module is loaded before Paddle is.
"""

from __future__ import annotations

import os
import pickle
import zlib
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ppcds.errors import UserError
from ppcds.files import write_whole
from ppcds.paddle_pickle import read_paddle_pickle
from ppcds.safetensors_files import read_safetensors, read_safetensors_metadata


def load_weights(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """{name: array} of a `.pdparams` or `.safetensors` file; nothing in the file is executed.

    bfloat16, which NumPy lacks, comes as float32 of the same values.  Time and memory are bounded by the
    file's size.
    Raises UserError naming the file if it is missing, of another kind, damaged, or holds anything but arrays.
    """
    path = _existing_weights_file(path)
    with _damage_in_words(path):
        if path.suffix == ".safetensors":
            return read_safetensors(path)
        content = read_paddle_pickle(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}, not weights by name")
    for name, value in content.items():
        if not isinstance(value, np.ndarray):
            kind = type(value).__name__
            raise UserError(f"{path}: {name[:80]!r} is a {kind}, not an array; save a state dict alone")
    return content


def read_metadata(path: str | os.PathLike) -> dict[str, str]:
    """What `save_weights` was given as metadata; empty for a `.pdparams`, which has none."""
    path = _existing_weights_file(path)
    if path.suffix == ".pdparams":
        return {}
    with _damage_in_words(path):
        return read_safetensors_metadata(path)


def save_weights(
    weights: Mapping[str, object], path: str | os.PathLike, metadata: Mapping[str, str] | None = None
) -> None:
    """Write {name: Tensor or array} to a `.pdparams`, which paddle.load reads too, or a `.safetensors`.

    metadata: strings by name, `.safetensors` only.  A stop at any instant leaves the old file or the new one.
    Raises NotWritten, a UserError, with the bytes that are needed.
    """
    path = Path(path)
    _check_suffix(path)
    if metadata and path.suffix != ".safetensors":
        raise ValueError(f"{path}: only .safetensors holds metadata")
    arrays = {name: np.asarray(value, order="C") for name, value in weights.items()}
    if path.suffix == ".safetensors":
        from safetensors.numpy import save  # and not save_file, whose errors lack the system's number

        write_whole(path, save(arrays, metadata=dict(metadata or {})))
    else:
        write_whole(path, pickle.dumps(arrays, protocol=4))


def checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """CRC-32 of names, types, shapes and bytes, in the order of the names: for damage, not for malice."""
    crc = 0
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        crc = zlib.crc32(f"{name} {array.dtype} {array.shape}\n".encode("utf-8", "replace"), crc)
        crc = zlib.crc32(array.reshape(-1).view(np.uint8), crc)
    return f"{crc:08x}"


def first_not_finite(arrays: Mapping[str, np.ndarray]) -> str | None:
    """The name of the first array that holds a NaN or an infinity, if there is one."""
    broken = (name for name, a in arrays.items() if a.dtype.kind == "f" and not np.isfinite(a).all())
    return next(broken, None)


def require_fit(layer, arrays: Mapping[str, np.ndarray], source: str | os.PathLike) -> None:
    """Raise UserError unless `arrays` have names, shapes and kinds of numbers of the layer's state.

    Of a layer made under paddle.LazyGuard too, which takes no memory.
    """
    tensors = layer.state_dict()
    missing = [name for name in tensors if name not in arrays]
    extra = [_shown(name) for name in arrays if name not in tensors]
    unlike = []
    for name, tensor in tensors.items():
        if name in arrays and list(arrays[name].shape) != list(tensor.shape):
            unlike.append(f"{name} is {list(arrays[name].shape)}, not {list(tensor.shape)}")
        elif name in arrays and arrays[name].dtype.kind != np.dtype(_number_type(tensor)).kind:
            unlike.append(f"{name} is {arrays[name].dtype}, not {_number_type(tensor)}")
    faults = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in (("missing", missing), ("unknown", extra), ("of another shape or type", unlike))
        if names
    ]
    if faults:
        raise UserError(f"{source}: weights of another network: {'; '.join(faults)}")


def set_weights(layer, arrays: Mapping[str, np.ndarray], source: str | os.PathLike) -> None:
    """Set every parameter and buffer of a paddle.nn.Layer, completely or not at all.

    source: what the error names, the file as a rule.  Raises UserError, with nothing changed, if a name is
    missing or unknown, an array has another shape or kind of number, or a number is not finite.
    """
    require_fit(layer, arrays, source)
    values = {}
    with np.errstate(over="ignore"):  # a number too large for the layer's type becomes infinite: see below
        for name, tensor in layer.state_dict().items():
            array = np.ascontiguousarray(arrays[name], dtype=_number_type(tensor))
            values[name] = array.reshape(arrays[name].shape)  # a scalar has become [1]
    require_finite(values, source)
    for name, tensor in layer.state_dict().items():
        tensor.set_value(values[name])


def require_finite(arrays: Mapping[str, np.ndarray], source: str | os.PathLike) -> None:
    """Raise UserError if a number is a NaN or infinite."""
    broken = first_not_finite(arrays)
    if broken is not None:
        raise UserError(f"{source}: {_shown(broken)} holds numbers that are not finite: train again")


def _number_type(tensor) -> str:
    return str(tensor.dtype).rsplit(".", 1)[-1]  # "paddle.float32" -> "float32"


def _shown(names: str) -> str:
    """A name out of a file, fit for one line of a message."""
    return names if names.isprintable() and len(names) < 100 else f"{names[:100]!r}"


def _existing_weights_file(path: str | os.PathLike) -> Path:
    path = Path(path)
    _check_suffix(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    return path


def _check_suffix(path: Path) -> None:
    if path.suffix == ".pdopt":
        raise UserError(f"{path}: the state of an optimiser is not read; a run goes on from its .safetensors")
    if path.suffix not in (".pdparams", ".safetensors"):
        raise UserError(f"{path}: weights are kept in .pdparams or .safetensors files")


@contextmanager
def _damage_in_words(path: Path):
    """Whatever a damaged file raises, which can be almost anything, as a UserError of one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(f"{path}: cannot be read as weights: {reason}") from error
