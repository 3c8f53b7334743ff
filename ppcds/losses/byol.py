"""BYOL's regression of a target network's projection (Grill et al. 2020, arXiv:2006.07733)."""

from __future__ import annotations

import paddle

from ppcds.losses.embeddings import unit_rows


def byol_loss(prediction: paddle.Tensor, target: paddle.Tensor) -> paddle.Tensor:
    """Mean of 2 - 2 cos(prediction, target), eq. 2, of one direction; between 0 and 4.

    prediction, target: [N, D], any scale (normalised here).  Returns a scalar; the target gets no gradient.
    Raises ValueError for shapes that differ.
    """
    if prediction.ndim != 2 or prediction.shape != target.shape:
        shapes = f"{list(prediction.shape)} and {list(target.shape)}"
        raise ValueError(f"prediction and target need one shape [N, D], not {shapes}")
    with paddle.amp.auto_cast(enable=False):
        cosine = (unit_rows(prediction) * unit_rows(target.detach())).sum(axis=1)
        return (2 - 2 * cosine).mean()
