"""What counts as the same."""

import numpy as np
import pytest

from ppcds.errors import UserError
from ppcds.export.parity import drawn_images, require_parity

LOGITS = np.array([[0.1, 0.5, -0.3], [0.9, 0.2, 0.0]], "float32")


def test_differences_below_the_tolerance_are_measured():
    found = require_parity("model.json", LOGITS, LOGITS + np.float32(5e-5))
    assert found.largest == pytest.approx(5e-5, rel=0.01)
    assert (found.same_top1, found.images) == (2, 2)


def test_larger_ones_are_refused_and_large_outputs_are_judged_by_their_size():
    other = LOGITS.copy()
    other[1, 2] += 2e-4
    with pytest.raises(UserError, match="model.json differs from the trained network by 0.0002"):
        require_parity("model.json", LOGITS, other)
    require_parity("model.json", LOGITS * 1000, other * 1000 - [[0, 0, 0], [0, 0, 0.15]])
    with pytest.raises(UserError, match="differs"):
        require_parity("model.json", LOGITS * 1000, other * 1000)


def test_what_is_not_finite_or_of_another_shape_is_refused():
    broken = LOGITS * [[1, 1, np.nan]]
    with pytest.raises(UserError, match="model.onnx differs"):
        require_parity("model.onnx", LOGITS, broken)
    with pytest.raises(UserError, match="the network's outputs are not finite"):
        require_parity("model.onnx", broken, broken)
    with pytest.raises(UserError, match=r"model.onnx gives \(1, 3\), the trained network \(2, 3\)"):
        require_parity("model.onnx", LOGITS, LOGITS[:1])


def test_a_tie_that_falls_the_other_way_is_counted_and_not_refused():
    tied = np.array([[0.5, 0.50001, 0.0]], "float32")
    assert require_parity("model.json", tied, tied + [[3e-5, 0, 0]]).same_top1 == 0


def test_drawn_images_are_always_the_same_and_unlike_each_other():
    one, other = drawn_images((36, 64)), drawn_images((36, 64))
    assert all(np.array_equal(a, b) for a, b in zip(one, other))
    assert {image.shape for image in one} == {(36, 64, 3)} and one[0].dtype == np.uint8
    assert np.abs(one[0].astype(int) - one[1]).mean() > 30 and one[0].std() > 30
