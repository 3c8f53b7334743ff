from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from ppcds.losses import cross_entropy

LOGITS = np.random.default_rng(0).standard_normal((4, 10)).astype("float32")


def test_labelled_rows_alone_are_averaged():
    ours = cross_entropy(paddle.to_tensor(LOGITS), paddle.to_tensor([3, -1, -1, 5]))
    log_softmax = LOGITS - np.log(np.exp(LOGITS).sum(1, keepdims=True))
    assert float(ours) == pytest.approx(-(log_softmax[0, 3] + log_softmax[3, 5]) / 2, rel=1e-5)
    assert ours.dtype == paddle.float32


def test_with_every_row_labelled_it_is_paddles():
    labels = paddle.to_tensor([3, 0, 9, 5])
    expected = float(F.cross_entropy(paddle.to_tensor(LOGITS), labels))
    assert float(cross_entropy(paddle.to_tensor(LOGITS), labels)) == pytest.approx(expected, rel=1e-6)
    assert float(cross_entropy(paddle.to_tensor(LOGITS), labels[:, None])) == pytest.approx(
        expected, rel=1e-6
    )


def test_unlabelled_rows_get_no_gradient():
    logits = paddle.to_tensor(LOGITS, stop_gradient=False)
    cross_entropy(logits, paddle.to_tensor([3, -1, 2, -1])).backward()
    gradient = np.abs(logits.grad.numpy()).sum(1)
    assert (gradient[[1, 3]] == 0).all() and (gradient[[0, 2]] > 0).all()


def test_without_any_label_the_loss_is_0_and_the_backward_works():
    logits = paddle.to_tensor(LOGITS, stop_gradient=False)
    loss = cross_entropy(logits, paddle.to_tensor([-1] * 4))
    loss.backward()
    assert float(loss) == 0 and float(logits.grad.abs().max()) == 0


def test_softmax_twice_cannot_fall_below_the_notebooks_floor():
    sure = paddle.to_tensor(1000 * np.eye(10, dtype="float32"))
    labels = paddle.arange(10)
    assert float(cross_entropy(sure, labels)) == pytest.approx(0, abs=1e-6)
    assert float(cross_entropy(sure, labels, softmax_twice=True)) == pytest.approx(1.461, abs=1e-3)


def test_a_wrong_label_count_is_refused():
    with pytest.raises(ValueError, match="3 labels for 4 rows"):
        cross_entropy(paddle.to_tensor(LOGITS), paddle.to_tensor([0, 1, 2]))
