"""What contrastive losses have in common, exact and in blocks: anchors against all their candidates."""

from __future__ import annotations

import paddle
from paddle.autograd import PyLayer

BLOCK_ROWS = 512  # anchors at once; fewer make the matrix products slow, more only take memory


def contrast(
    anchors: paddle.Tensor,
    candidates: paddle.Tensor,
    positive: paddle.Tensor,
    weights: paddle.Tensor,
    itself: paddle.Tensor | None = None,
    positive_apart: bool = False,
) -> paddle.Tensor:
    """Sum over anchors i of weights_i (log sum_j exp(anchors_i . candidates_j) - positive_i), a scalar.

    anchors [A, D], candidates [M, D], positive [A], weights [A], of one dtype; the weights get no gradient.
    itself: [A] int64, the candidate that is the anchor itself and does not count.
    positive_apart: `positive` is the similarity of one more candidate, which is none of the M.
    Memory is O((A + M) D + M BLOCK_ROWS), where the plain formula holds several arrays [A, M]. A block has
    the whole softmax of its anchors, so the gradient is made in the same pass and waits for the backward.
    """
    return _Contrast.apply(anchors, candidates, positive, weights, itself, positive_apart)


class _Contrast(PyLayer):
    @staticmethod
    def forward(ctx, anchors, candidates, positive, weights, itself, positive_apart):
        of_anchors, of_candidates, of_positive = (
            None if tensor.stop_gradient else paddle.zeros_like(tensor)
            for tensor in (anchors, candidates, positive)
        )
        total = paddle.zeros([], dtype=anchors.dtype)
        for start in range(0, len(anchors), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            anchor, own, weight = anchors[block], positive[block].unsqueeze(1), weights[block].unsqueeze(1)
            # One array [block, M], changed in place: similarities, then exponentials.
            exps = paddle.matmul(anchor, candidates, transpose_y=True)
            if itself is not None:
                # Out of the row maximum too: an anchor's product with itself can exceed all others by so much
                # that their exponentials would vanish beside it. Finite, as 0 * inf is NaN.
                exps.put_along_axis_(itself[block].unsqueeze(1), paddle.full_like(weight, -1e30), 1)
            highest = exps.max(axis=1, keepdim=True)
            if positive_apart:
                highest = paddle.maximum(highest, own)
            exps.subtract_(highest).exp_()
            exp_sum = exps.sum(axis=1, keepdim=True)
            if positive_apart:
                exp_own = (own - highest).exp()
                exp_sum += exp_own
            # Anchor by anchor: the difference of two means of large numbers would lose a small loss.
            total += (weight * (exp_sum.log() + (highest - own))).sum()
            of_exp = weight / exp_sum
            if of_anchors is not None:
                of_anchors[block] = of_exp * paddle.matmul(exps, candidates)
            if of_candidates is not None:
                of_candidates += paddle.matmul(exps, of_exp * anchor, transpose_x=True)
            if of_positive is not None:
                of_own = of_exp * exp_own - weight if positive_apart else -weight
                of_positive[block] = of_own.squeeze(1)
        ctx.gradients = [of_anchors, of_candidates, of_positive, None]
        if itself is not None:
            ctx.gradients.append(None)
        return total

    @staticmethod
    def backward(ctx, of_total):
        return tuple(None if gradient is None else of_total * gradient for gradient in ctx.gradients)
