"""`.safetensors` files as NumPy arrays; the format executes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ppcds.bfloat16 import single_of_bfloat16


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """{name: array}; bfloat16 comes as float32 of the same values.  Raises what safetensors raises."""
    from safetensors import safe_open

    with safe_open(str(path), framework="np") as file:
        names = list(file.keys())
        halves = [name for name in names if file.get_slice(name).get_dtype() == "BF16"]
        arrays = {name: None if name in halves else file.get_tensor(name) for name in names}
    return {**arrays, **_of_bfloat16(path, halves)} if halves else arrays


def read_safetensors_metadata(path: Path) -> dict[str, str]:
    """The strings by name that were saved beside the arrays."""
    from safetensors import safe_open

    with safe_open(str(path), framework="np") as file:
        return dict(file.metadata() or {})


def _of_bfloat16(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Those arrays, by their bytes: safetensors makes no NumPy array of them."""
    from safetensors import deserialize

    found = dict(deserialize(path.read_bytes()))
    bits = {name: np.frombuffer(found[name]["data"], "<u2").reshape(found[name]["shape"]) for name in names}
    return {name: single_of_bfloat16(values) for name, values in bits.items()}
