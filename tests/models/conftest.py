"""The official code's outputs, and the seeded weights they were made with."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def official():
    """Arrays of tests/reference/official_cds.npz by name."""
    with np.load(Path(__file__).parents[1] / "reference" / "official_cds.npz") as file:
        return dict(file)


@pytest.fixture(scope="session")
def seeded_state_dict(official):
    """Function of an architecture's name: the PyTorch state dict that the official outputs belong to."""

    def state_dict(architecture: str) -> dict[str, np.ndarray]:
        names, shapes = official[f"{architecture}.names"], official[f"{architecture}.shapes"]
        return {
            str(name): seeded_array(str(name), tuple(int(n) for n in str(shape).split(",")))
            for name, shape in zip(names, shapes)
        }

    return state_dict


def seeded_array(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One weight, from its PyTorch name and shape alone."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        values = 1 + 0.1 * np.abs(noise)
    elif len(shape) == 4:
        values = noise / np.sqrt(np.prod(shape[1:]))
    elif len(shape) == 2:
        values = noise / np.sqrt(shape[1])
    elif name.endswith("weight"):
        values = 1 + 0.1 * noise
    else:
        values = 0.1 * noise
    return values.astype(np.float32)
