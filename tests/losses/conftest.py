"""A loss against its equation, written as a loop over NumPy arrays."""

from __future__ import annotations

import numpy as np
import paddle
import pytest


@pytest.fixture
def require_equal():
    """Values within 1e-6 and gradients of the first `trained` arrays within 1e-5, all in double precision."""

    def compare(loss, loop, arrays, trained):
        tensors = [paddle.to_tensor(array, stop_gradient=False) for array in arrays]
        ours = loss(*tensors)
        assert ours.dtype == paddle.float64 and ours.shape == []
        assert float(ours) == pytest.approx(loop(*arrays), rel=1e-6, abs=1e-9)
        ours.backward()
        for index, tensor in enumerate(tensors):
            if index >= trained:
                assert tensor.grad is None or float(tensor.grad.abs().max()) == 0
                continue
            expected = central_differences(loop, arrays, index)
            assert np.abs(expected).max() > 1e-3
            np.testing.assert_allclose(tensor.grad.numpy(), expected, rtol=1e-5, atol=1e-8)

    return compare


def central_differences(loop, arrays, index, step=1e-5):
    gradient = np.zeros_like(arrays[index])
    for place in np.ndindex(*gradient.shape):
        around = []
        for sign in (1, -1):
            moved = [array.copy() for array in arrays]
            moved[index][place] += sign * step
            around.append(loop(*moved))
        gradient[place] = (around[0] - around[1]) / (2 * step)
    return gradient
