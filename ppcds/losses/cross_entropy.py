"""Cross entropy over the labelled rows of a batch."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F


def cross_entropy(logits: paddle.Tensor, labels: paddle.Tensor, softmax_twice: bool = False) -> paddle.Tensor:
    """Mean cross entropy of the labelled rows; 0, with a working backward, where none is labelled.

    logits: [N, C].  labels: [N] or [N, 1]; -1 = unlabelled.  Returns a scalar.
    softmax_twice: the AI Studio notebook's error, a softmax before the cross entropy that applies its own.
    The loss of ten classes then cannot fall below 1.461 = log(e + 9) - 1.
    """
    labels = labels.reshape([-1])
    if labels.shape[0] != logits.shape[0]:
        raise ValueError(f"{labels.shape[0]} labels for {logits.shape[0]} rows of logits")
    if softmax_twice:
        logits = F.softmax(logits, axis=1)
    labelled = labels >= 0
    class_ids = paddle.where(labelled, labels, paddle.zeros_like(labels))
    loss_of_row = F.cross_entropy(logits, class_ids, reduction="none").reshape([-1])
    # Not ignore_index with a mean: Paddle divides by all rows, not by the labelled ones.
    weight = labelled.astype(loss_of_row.dtype)
    return (loss_of_row * weight).sum() / weight.sum().clip(min=1)
