"""Supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362)."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn


def supcon_loss(
    views: list[paddle.Tensor], labels: paddle.Tensor | None = None, temperature: float = 0.07
) -> paddle.Tensor:
    """Supervised contrastive loss, L_out of Khosla et al. 2020 (arXiv:2004.11362, eq. 2).

    views: list of V tensors [N, D], any scale (normalised here).  labels: [N] or [N, 1]; -1 = unlabelled,
    whose only positives are its own other views.  Without labels: NT-Xent, as SimCLR.  Returns a scalar.
    Raises ValueError if fewer than two rows could form a pair.
    """
    if not views or len(views) * views[0].shape[0] < 2:
        raise ValueError("a contrastive loss needs two rows at least: two views, or two images")
    features = F.normalize(single_precision(paddle.stack(views, axis=1)), axis=2)
    return SupConLoss(temperature, base_temperature=temperature)(features, labels)


class SupConLoss(nn.Layer):
    """The same loss with the interface of its authors' code, which does not normalise the features.

    contrast_mode: "all" compares every view with all others, "one" only the first view.
    The loss is scaled by temperature / base_temperature.
    """

    def __init__(self, temperature: float = 0.07, contrast_mode: str = "all", base_temperature: float = 0.07):
        super().__init__()
        if contrast_mode not in ("all", "one"):
            raise ValueError(f"unknown contrast_mode {contrast_mode!r}: use all or one")
        if temperature <= 0 or base_temperature <= 0:
            raise ValueError("temperature and base_temperature must be above 0")
        self.temperature = temperature
        self.contrast_mode = contrast_mode
        self.base_temperature = base_temperature

    def forward(
        self,
        features: paddle.Tensor,
        labels: paddle.Tensor | None = None,
        mask: paddle.Tensor | None = None,
    ) -> paddle.Tensor:
        """features [N, V, ...] -> scalar.  labels: [N] or [N, 1], -1 = unlabelled; or mask [N, N], whose
        entry (i, j) is 1 where j is a positive of i (it may be asymmetric); or neither: SimCLR.

        Anchors without a positive are left out of the mean; where none has one the loss is 0 and its gradient
        too (the authors' code gives NaN).
        Raises ValueError for both labels and mask, under three dimensions, or a count that is not N.
        """
        if features.ndim < 3:
            raise ValueError(f"features need the shape [N, V, ...], not {list(features.shape)}")
        num_images, num_views = features.shape[:2]
        positives = _positives_of_images(num_images, labels, mask)
        num_anchor_views = num_views if self.contrast_mode == "all" else 1
        # View after view, so that the anchors are the first rows in both modes.
        rows = paddle.concat(paddle.unbind(features.flatten(2), axis=1), axis=0)
        loss = _mean_over_anchors(rows, positives.tile([num_anchor_views, num_views]), self.temperature)
        return loss * (self.temperature / self.base_temperature)


def single_precision(tensor: paddle.Tensor) -> paddle.Tensor:
    return tensor if tensor.dtype == paddle.float64 else tensor.astype("float32")


def _positives_of_images(num_images: int, labels, mask) -> paddle.Tensor:
    """[N, N] float32: which images are positives of which; an image always is of itself, except by mask."""
    if labels is not None and mask is not None:
        raise ValueError("give labels or mask, not both")
    if mask is not None:
        if list(mask.shape) != [num_images, num_images]:
            raise ValueError(f"a mask of {list(mask.shape)} for {num_images} images")
        return mask.astype("float32")
    itself = paddle.eye(num_images)
    if labels is None:
        return itself
    labels = labels.reshape([-1, 1])
    if labels.shape[0] != num_images:
        raise ValueError(f"{labels.shape[0]} labels for {num_images} images")
    same_class = paddle.logical_and(labels == labels.t(), labels >= 0)
    return paddle.maximum(same_class.astype("float32"), itself)


def _mean_over_anchors(rows: paddle.Tensor, positives: paddle.Tensor, temperature: float) -> paddle.Tensor:
    """Eq. 2: rows [M, D]; positives [A, M], where anchor i is row i and is never its own positive."""
    with paddle.amp.auto_cast(enable=False):  # 1/0.07 times a dot product is too coarse in half precision
        rows = single_precision(rows)
        positives = positives.astype(rows.dtype)
        itself = paddle.eye(*positives.shape, dtype=rows.dtype)
        similarity = paddle.matmul(rows[: positives.shape[0]], rows, transpose_y=True) / temperature
        # Out of the softmax, and of its row maximum too: an anchor's similarity with itself can exceed all
        # others by so much that their exponentials would vanish beside it. Finite, as 0 * inf is NaN.
        similarity = paddle.where(itself > 0, paddle.full_like(similarity, -1e30), similarity)
        log_prob = F.log_softmax(similarity, axis=1)
        positives = positives * (1 - itself)
        num_positives = positives.sum(axis=1)
        has_positive = num_positives > 0
        divisor = paddle.where(has_positive, num_positives, paddle.ones_like(num_positives))
        loss_of_anchor = -(positives * log_prob).sum(axis=1) / divisor
        # An anchor without positives has a sum of zeros above, so only the count has to leave it out.
        return loss_of_anchor.sum() / has_positive.astype(rows.dtype).sum().clip(min=1)
