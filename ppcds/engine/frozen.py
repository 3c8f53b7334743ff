"""Proof that what must not change (a teacher, a frozen encoder) has not."""

from __future__ import annotations

import hashlib

import paddle

from ppcds.errors import UserError


def checksums(layers: dict[str, paddle.nn.Layer]) -> dict[str, str]:
    """SHA-256 of each layer's weights and buffers, by the layer's name."""
    return {name: _checksum(layer) for name, layer in layers.items()}


def require_unchanged(layers: dict[str, paddle.nn.Layer], before: dict[str, str]) -> None:
    """Raise UserError unless the layers have the checksums that they had when the run began."""
    for name, checksum in checksums(layers).items():
        if checksum != before.get(name):
            raise UserError(
                f"the {name} is not what it was when the run began, and it must not change: "
                "is its file another one now?"
            )


def _checksum(layer: paddle.nn.Layer) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(layer.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
