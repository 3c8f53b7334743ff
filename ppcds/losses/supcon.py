"""Supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362)."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn

from ppcds.losses.contrast import contrast


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
        with paddle.amp.auto_cast(enable=False):  # 1/0.07 times a dot product is too coarse in half precision
            features = single_precision(features.flatten(2))
            sums, counts, itself = _positives_of_images(features.sum(axis=1), labels, mask)
            # View after view, so that the anchors are the first rows in both modes.
            rows = paddle.concat(paddle.unbind(features, axis=1), axis=0)
            anchor_views = num_views if self.contrast_mode == "all" else 1
            anchors = rows[: anchor_views * num_images]
            # A row is no candidate of its own, and so none of its positives.
            counts = num_views * counts.tile([anchor_views]) - itself.tile([anchor_views])
            sums = sums.tile([anchor_views, 1]) - itself.tile([anchor_views]).unsqueeze(1) * anchors
            has_positive = counts > 0
            counts = paddle.where(has_positive, counts, paddle.ones_like(counts))
            weights = has_positive.astype(rows.dtype)
            anchors = anchors / self.temperature
            loss = contrast(
                anchors,
                rows,
                positive=(anchors * sums).sum(axis=1) / counts,
                weights=weights / weights.sum().clip(min=1),
                itself=paddle.arange(len(anchors)),
            )
            return loss * (self.temperature / self.base_temperature)


def single_precision(tensor: paddle.Tensor) -> paddle.Tensor:
    return tensor if tensor.dtype == paddle.float64 else tensor.astype("float32")


def _positives_of_images(images: paddle.Tensor, labels, mask) -> tuple[paddle.Tensor, ...]:
    """Of each image: the sum of its positives [N, D], their number [N], and 1 if it is one itself [N].

    images: [N, D], the sum of an image's views. By labels or neither an image is its own positive.
    """
    if labels is not None and mask is not None:
        raise ValueError("give labels or mask, not both")
    num_images = len(images)
    if mask is not None:
        if list(mask.shape) != [num_images, num_images]:
            raise ValueError(f"a mask of {list(mask.shape)} for {num_images} images")
        mask = mask.astype(images.dtype)
        return paddle.matmul(mask, images), mask.sum(axis=1), mask.diagonal()
    ones = paddle.ones([num_images], dtype=images.dtype)
    if labels is None:
        return images, ones, ones
    labels = labels.flatten().astype("int64")
    if len(labels) != num_images:
        raise ValueError(f"{len(labels)} labels for {num_images} images")
    # An unlabelled image is a class of its own.
    class_ids = paddle.where(labels >= 0, labels, -1 - paddle.arange(num_images))
    ids, classes, sizes = paddle.unique(class_ids, return_inverse=True, return_counts=True)
    no_sums = paddle.zeros([len(ids), images.shape[1]], dtype=images.dtype)
    class_sums = paddle.scatter(no_sums, classes, images, overwrite=False)
    return class_sums[classes], sizes[classes].astype(images.dtype), ones
