"""Contrastive losses without labels: NT-Xent of SimCLR and InfoNCE against MoCo's queue."""

from __future__ import annotations

import paddle

from ppcds.losses.contrast import contrast
from ppcds.losses.embeddings import unit_rows
from ppcds.losses.supcon import supcon_loss


def nt_xent_loss(
    views: list[paddle.Tensor], temperature: float = 0.1, negatives: str = "all"
) -> paddle.Tensor:
    """NT-Xent of two views of the same images.

    views: two tensors [N, D], any scale (normalised here).  Returns a scalar.
    negatives: "all", an anchor's candidates are the 2N - 1 other rows of both views (SimCLR, Chen et al.
    2020, arXiv:2002.05709, eq. 1); "cross", the N rows of the other view, both directions averaged (the
    Keras example of semi-supervised SimCLR on STL-10, and CLIP, arXiv:2103.00020, fig. 3).
    Raises ValueError for another number of views, shapes that differ, an unknown `negatives` or a temperature
    that is not above 0.
    """
    if len(views) != 2 or views[0].ndim != 2 or views[0].shape != views[1].shape:
        shapes = [list(view.shape) for view in views]
        raise ValueError(f"NT-Xent needs two views of one shape [N, D], not {shapes}")
    if temperature <= 0:
        raise ValueError("temperature must be above 0")
    if negatives == "all":
        return supcon_loss(views, None, temperature)
    if negatives != "cross":
        raise ValueError(f"unknown negatives {negatives!r}: use all or cross")
    with paddle.amp.auto_cast(enable=False):
        first, second = (unit_rows(view) for view in views)
        positive = (first * second).sum(axis=1) / temperature
        weights = paddle.full_like(positive, 0.5 / len(positive))
        return contrast(first / temperature, second, positive, weights) + contrast(
            second / temperature, first, positive, weights
        )


def info_nce_loss(
    queries: paddle.Tensor, keys: paddle.Tensor, queue: paddle.Tensor, temperature: float
) -> paddle.Tensor:
    """InfoNCE of MoCo (He et al. 2020, arXiv:1911.05722, eq. 1): candidates are a query's key and the queue.

    queries, keys: [N, D], row i of both from image i; queue: [K, D], keys of earlier batches; all of any
    scale (normalised here).  Returns a scalar; only the queries get a gradient.
    Raises ValueError for shapes that do not fit, or a temperature that is not above 0.
    """
    if queries.ndim != 2 or queries.shape != keys.shape or queue.shape[1:] != queries.shape[1:]:
        shapes = f"{list(queries.shape)}, {list(keys.shape)} and {list(queue.shape)}"
        raise ValueError(f"queries and keys need one shape [N, D], and the queue [K, D], not {shapes}")
    if temperature <= 0:
        raise ValueError("temperature must be above 0")
    with paddle.amp.auto_cast(enable=False):
        queries, keys, queue = unit_rows(queries), unit_rows(keys.detach()), unit_rows(queue.detach())
        to_key = (queries * keys).sum(axis=1) / temperature
        weights = paddle.full_like(to_key, 1 / len(to_key))
        return contrast(queries / temperature, queue, to_key, weights, positive_apart=True)
