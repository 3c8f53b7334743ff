from __future__ import annotations

import numpy as np
import paddle
import pytest

from ppcds.losses import byol_loss

PREDICTION, TARGET = np.random.default_rng(0).standard_normal((2, 5, 4))


def loop(prediction, target):
    losses = []
    for p, t in zip(prediction, target):
        losses.append(2 - 2 * np.dot(p, t) / (np.linalg.norm(p) * np.linalg.norm(t)))
    return np.mean(losses)


def test_it_equals_a_loop_over_its_equation_and_the_target_gets_no_gradient(require_equal):
    require_equal(byol_loss, loop, [PREDICTION, TARGET], trained=1)
    require_equal(byol_loss, loop, [PREDICTION[:1], TARGET[:1]], trained=1)


def test_it_is_the_squared_distance_of_unit_rows():
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (PREDICTION, TARGET)]
    expected = ((unit[0] - unit[1]) ** 2).sum(1).mean()
    assert float(byol_loss(*map(paddle.to_tensor, (PREDICTION, TARGET)))) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("degrees, expected", [(0, 0), (60, 1), (90, 2), (180, 4)])
def test_known_angles(degrees, expected):
    angle = np.radians(degrees)
    turned = paddle.to_tensor([[5 * np.cos(angle), 5 * np.sin(angle)]], dtype="float32")
    assert float(byol_loss(turned, paddle.to_tensor([[1.0, 0.0]]))) == pytest.approx(expected, abs=1e-6)


def test_order_of_images_and_scale_do_not_matter():
    order = [3, 1, 4, 0, 2]
    expected = float(byol_loss(paddle.to_tensor(PREDICTION), paddle.to_tensor(TARGET)))
    ours = byol_loss(paddle.to_tensor(2 * PREDICTION[order]), paddle.to_tensor(0.1 * TARGET[order]))
    assert float(ours) == pytest.approx(expected, rel=1e-9)


def test_half_precision_is_computed_in_single():
    halves = [rows.astype("float16") for rows in (PREDICTION, TARGET)]
    ours = byol_loss(*map(paddle.to_tensor, halves))
    assert ours.dtype == paddle.float32
    assert float(ours) == pytest.approx(loop(*(half.astype("float64") for half in halves)), rel=1e-5)


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"\[5, 4\] and \[1, 4\]"):
        byol_loss(paddle.to_tensor(PREDICTION), paddle.to_tensor(TARGET[:1]))
