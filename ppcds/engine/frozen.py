"""Proof that what must not change (a teacher, a frozen encoder) has not."""

from __future__ import annotations

import hashlib

import paddle


def checksums(layers: dict[str, paddle.nn.Layer]) -> dict[str, str]:
    """SHA-256 of each layer's weights and buffers, by the layer's name."""
    return {name: _checksum(layer) for name, layer in layers.items()}


def _checksum(layer: paddle.nn.Layer) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(layer.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
