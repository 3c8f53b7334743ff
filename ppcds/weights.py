"""Weights in files: read without running anything, written whole or not at all.

`.pdparams` is a pickle of {name: NumPy array}, as paddle.save writes a state dict; paddle.load would run
whatever its author put in. Here it is read by an unpickler that knows arrays and plain containers only.
Paddle itself is not imported: this module is loaded before Paddle is.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ppcds.errors import UserError
from ppcds.files import written_whole
from ppcds.safe_pickle import ArrayUnpickler

PADDLE_NAME_TABLE = "StructuredToParameterName@@"  # what paddle.save adds: generated names, of no use to us


def load_weights(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """{name: array} of a `.pdparams` or `.safetensors` file; nothing in the file is executed.

    Raises UserError naming the file if it is missing, of another kind, damaged, or holds anything but arrays.
    """
    path = _existing_weights_file(path)
    if path.suffix == ".safetensors":
        with _open_safetensors(path) as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    with open(path, "rb") as file:
        try:
            content = ArrayUnpickler(file).load()
        except Exception as error:  # a damaged pickle can raise almost any of them
            raise UserError(f"{path}: cannot be read as weights: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}, not weights by name")
    content.pop(PADDLE_NAME_TABLE, None)
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, np.ndarray):
            kind = type(value).__name__
            raise UserError(f"{path}: {name!r} is a {kind}, not an array; save a state dict alone")
    return content


def read_metadata(path: str | os.PathLike) -> dict[str, str]:
    """What `save_weights` was given as metadata; empty for a `.pdparams`, which has none."""
    path = _existing_weights_file(path)
    if path.suffix == ".pdparams":
        return {}
    with _open_safetensors(path) as file:
        return dict(file.metadata() or {})


def save_weights(
    weights: Mapping[str, object], path: str | os.PathLike, metadata: Mapping[str, str] | None = None
) -> None:
    """Write {name: Tensor or array} to a `.pdparams`, which paddle.load reads too, or a `.safetensors`.

    metadata: strings by name, `.safetensors` only.  A stop at any instant leaves the old file or the new one.
    """
    path = Path(path)
    _check_suffix(path)
    if metadata and path.suffix != ".safetensors":
        raise ValueError(f"{path}: only .safetensors holds metadata")
    arrays = {name: np.asarray(value, order="C") for name, value in weights.items()}
    with written_whole(path) as temporary:
        if path.suffix == ".safetensors":
            from safetensors.numpy import save_file

            save_file(arrays, temporary, metadata=dict(metadata or {}))
        else:
            with open(temporary, "wb") as file:
                pickle.dump(arrays, file, protocol=4)


def first_not_finite(arrays: Mapping[str, np.ndarray]) -> str | None:
    """The name of the first array that holds a NaN or an infinity, if there is one."""
    broken = (name for name, a in arrays.items() if a.dtype.kind == "f" and not np.isfinite(a).all())
    return next(broken, None)


def set_weights(layer, arrays: Mapping[str, np.ndarray], source: str | os.PathLike) -> None:
    """Set every parameter and buffer of a paddle.nn.Layer, completely or not at all.

    source: what the error names, the file as a rule.  Raises UserError, with nothing changed, if a name is
    missing or unknown or an array has another shape or kind of number.
    """
    tensors = layer.state_dict()
    missing = [name for name in tensors if name not in arrays]
    extra = [name for name in arrays if name not in tensors]
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
    for name, tensor in tensors.items():
        tensor.set_value(np.ascontiguousarray(arrays[name], dtype=_number_type(tensor)).reshape(tensor.shape))


def _number_type(tensor) -> str:
    return str(tensor.dtype).rsplit(".", 1)[-1]  # "paddle.float32" -> "float32"


def _existing_weights_file(path: str | os.PathLike) -> Path:
    path = Path(path)
    _check_suffix(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    return path


def _check_suffix(path: Path) -> None:
    if path.suffix not in (".pdparams", ".safetensors"):
        raise UserError(f"{path}: weights are kept in .pdparams or .safetensors files")


@contextmanager
def _open_safetensors(path: Path):
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="np") as file:
            yield file
    except (SafetensorError, TypeError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as weights: {error}") from error
