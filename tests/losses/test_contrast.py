from __future__ import annotations

import subprocess
import sys

import numpy as np
import paddle
import pytest

from ppcds.losses import contrast as contrast_module
from ppcds.losses import info_nce_loss, nt_xent_loss, supcon_loss
from ppcds.losses.contrast import BLOCK_ROWS, contrast

RANDOM = np.random.default_rng(0)
ANCHORS, CANDIDATES = RANDOM.standard_normal((5, 4)), RANDOM.standard_normal((9, 4))
POSITIVE, WEIGHTS = RANDOM.standard_normal(5), RANDOM.uniform(0, 1, 5)
ITSELF = np.array([2, 0, 8, 3, 3])


def plain_contrast(anchors, candidates, positive, weights, itself, positive_apart):
    """The whole matrix at once, differentiated by Paddle."""
    similarity = paddle.matmul(anchors, candidates, transpose_y=True)
    if itself is not None:
        similarity -= 1e30 * paddle.nn.functional.one_hot(itself, len(candidates)).astype(similarity.dtype)
    if positive_apart:
        similarity = paddle.concat([similarity, positive.unsqueeze(1)], axis=1)
    return (weights * (paddle.logsumexp(similarity, axis=1) - positive)).sum()


def plain_supcon(rows, classes, temperature):
    """Loss and gradient by the rows [M, D], in NumPy and double precision."""
    similarity = rows @ rows.T / temperature
    np.fill_diagonal(similarity, -np.inf)
    exp = np.exp(similarity - similarity.max(axis=1, keepdims=True))
    softmax = exp / exp.sum(axis=1, keepdims=True)
    positives = (classes[:, None] == classes) & ~np.eye(len(rows), dtype=bool)
    share = positives / positives.sum(axis=1, keepdims=True)
    loss = -(np.log(softmax, where=positives, out=np.zeros_like(softmax)) * share).sum(axis=1).mean()
    of_similarity = (softmax - share) / len(rows)
    return loss, (of_similarity + of_similarity.T) @ rows / temperature


def trained(*arrays):
    return [paddle.to_tensor(array, stop_gradient=False) for array in arrays]


@pytest.mark.parametrize("block_rows", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("itself", [None, ITSELF])
@pytest.mark.parametrize("positive_apart", [False, True])
def test_value_and_gradients_equal_the_whole_matrix_in_any_blocks(
    monkeypatch, block_rows, itself, positive_apart
):
    monkeypatch.setattr(contrast_module, "BLOCK_ROWS", block_rows)
    results = []
    for form in (contrast, plain_contrast):
        inputs = trained(ANCHORS, CANDIDATES, POSITIVE)
        index = None if itself is None else paddle.to_tensor(itself)
        loss = form(*inputs, paddle.to_tensor(WEIGHTS), index, positive_apart)
        (-3 * loss).backward()
        results.append([loss.numpy(), *(tensor.grad.numpy() for tensor in inputs)])
    for ours, expected in zip(*results):
        assert ours.dtype == "float64" and np.abs(expected).max() > 0.1
        np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-10), ("float32", 1e-5)])
def test_several_whole_blocks_and_a_rest_equal_the_equation(dtype, tolerance):
    num_images = BLOCK_ROWS + 100
    rows = RANDOM.standard_normal((2 * num_images, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels = RANDOM.integers(0, 10, num_images)
    labels[:50] = -1
    classes = np.where(labels < 0, -1 - np.arange(num_images), labels)
    expected, gradient = plain_supcon(rows, np.tile(classes, 2), 0.1)
    # What moves a row along itself only changes its length, which the loss does not see.
    gradient -= (gradient * rows).sum(axis=1, keepdims=True) * rows
    views = trained(*rows.astype(dtype).reshape(2, num_images, 16))
    loss = supcon_loss(views, paddle.to_tensor(labels), 0.1)
    loss.backward()
    ours = np.concatenate([view.grad.numpy() for view in views])
    assert float(loss) == pytest.approx(expected, rel=tolerance)
    assert np.linalg.norm(ours - gradient) < tolerance * np.linalg.norm(gradient)


LOSSES = {
    "supcon": lambda a, b: supcon_loss([a, b], paddle.to_tensor([0, 1, -1, 0, 1])),
    "nt_xent": lambda a, b: nt_xent_loss([a, b]),
    "cross": lambda a, b: nt_xent_loss([a, b], negatives="cross"),
    "info_nce": lambda a, b: info_nce_loss(a, b, b[:3], 0.2),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_does_not_depend_on_its_blocks(monkeypatch, name):
    results = []
    for block_rows in (BLOCK_ROWS, 2):
        monkeypatch.setattr(contrast_module, "BLOCK_ROWS", block_rows)
        views = trained(ANCHORS, CANDIDATES[:5])
        loss = LOSSES[name](*views)
        loss.backward()
        results.append([loss.numpy(), *(view.grad.numpy() for view in views if view.grad is not None)])
    for whole, blocks in zip(*results):
        assert np.abs(whole).max() > 0.01
        np.testing.assert_allclose(blocks, whole, rtol=1e-10, atol=1e-14)


def test_losses_of_other_sizes_can_wait_for_their_backward_together():
    first, second = trained(ANCHORS, CANDIDATES)
    together = supcon_loss([first, 2 * first**3]) + supcon_loss([second, second**3])
    together.backward()
    for ours, array in ((first, ANCHORS), (second, CANDIDATES)):
        (alone,) = trained(array)
        supcon_loss([alone, alone**3]).backward()
        np.testing.assert_allclose(ours.grad.numpy(), alone.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_only_what_is_trained_gets_a_gradient():
    inputs = [ANCHORS, CANDIDATES, POSITIVE]
    for index in range(3):
        tensors = [
            paddle.to_tensor(array, stop_gradient=place != index) for place, array in enumerate(inputs)
        ]
        contrast(*tensors, paddle.to_tensor(WEIGHTS)).backward()
        assert [tensor.grad is not None for tensor in tensors] == [place == index for place in range(3)]
    loss = contrast(*map(paddle.to_tensor, inputs), paddle.to_tensor(WEIGHTS))
    assert loss.stop_gradient and np.isfinite(float(loss))
    with paddle.no_grad():
        assert float(contrast(*trained(*inputs), paddle.to_tensor(WEIGHTS))) == float(loss)


def test_a_loss_near_0_is_not_lost_in_large_similarities():
    view = paddle.to_tensor(np.eye(8, dtype="float32"))
    assert float(nt_xent_loss([view, view], 0.1)) == pytest.approx(np.log1p(14 * np.exp(-10)), rel=3e-4)


MEASURE = """
import paddle
from ppcds.losses import supcon_loss

def peak(num_images):
    view = paddle.randn([num_images, 4])
    view.stop_gradient = False
    supcon_loss([view, view + 1], paddle.arange(num_images) % 10).backward()
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

before = peak(16)
print(peak(3072) - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak of its memory from /proc")
def test_6144_rows_need_less_than_a_third_of_one_matrix_of_their_similarities():
    result = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    kilobytes = int(result.stdout)
    assert 0 < kilobytes < 6144**2 * 4 / 1024 / 3
