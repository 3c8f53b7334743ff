from __future__ import annotations

import math
import re

import numpy as np
import paddle
import pytest

from ppcds.losses import info_nce_loss, nt_xent_loss, supcon_loss

RANDOM = np.random.default_rng(0)
FIRST, SECOND = RANDOM.standard_normal((2, 5, 4))
QUEUE = RANDOM.standard_normal((7, 4))


def cosine(a, b):
    return np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b))


def cross_entropy_of(positive, candidates, temperature):
    total = sum(math.exp(similarity / temperature) for similarity in candidates)
    return -math.log(math.exp(positive / temperature) / total)


def all_loop(first, second, temperature):
    rows, count = [*first, *second], len(first)
    losses = []
    for i in range(2 * count):
        others = [cosine(rows[i], rows[k]) for k in range(2 * count) if k != i]
        losses.append(cross_entropy_of(cosine(rows[i], rows[(i + count) % (2 * count)]), others, temperature))
    return np.mean(losses)


def cross_loop(first, second, temperature):
    losses = []
    for anchors, others in ((first, second), (second, first)):
        for i, anchor in enumerate(anchors):
            candidates = [cosine(anchor, other) for other in others]
            losses.append(cross_entropy_of(candidates[i], candidates, temperature))
    return np.mean(losses)


def queue_loop(queries, keys, queue, temperature):
    losses = []
    for query, key in zip(queries, keys):
        candidates = [cosine(query, row) for row in [key, *queue]]
        losses.append(cross_entropy_of(candidates[0], candidates, temperature))
    return np.mean(losses)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
@pytest.mark.parametrize("negatives, loop", [("all", all_loop), ("cross", cross_loop)])
def test_nt_xent_equals_a_loop_over_its_equation(require_equal, negatives, loop, temperature):
    require_equal(
        lambda first, second: nt_xent_loss([first, second], temperature, negatives),
        lambda first, second: loop(first, second, temperature),
        [FIRST, SECOND],
        trained=2,
    )


def test_moco_equals_a_loop_over_its_equation_and_only_queries_get_a_gradient(require_equal):
    require_equal(
        lambda queries, keys, queue: info_nce_loss(queries, keys, queue, 0.2),
        lambda queries, keys, queue: queue_loop(queries, keys, queue, 0.2),
        [FIRST, SECOND, QUEUE],
        trained=1,
    )


def test_all_negatives_are_supcon_without_labels():
    views = [paddle.to_tensor(FIRST), paddle.to_tensor(SECOND)]
    assert float(nt_xent_loss(views, 0.3)) == float(supcon_loss(views, None, 0.3))


@pytest.mark.parametrize("negatives", ["all", "cross"])
def test_order_of_views_and_of_images_and_scale_do_not_matter(negatives):
    order = RANDOM.permutation(5)
    scale = RANDOM.uniform(0.1, 10, (5, 1))
    expected = float(nt_xent_loss([paddle.to_tensor(FIRST), paddle.to_tensor(SECOND)], 0.1, negatives))
    for views in ((SECOND, FIRST), (FIRST[order], SECOND[order]), (scale * FIRST, SECOND / scale)):
        ours = nt_xent_loss([paddle.to_tensor(view) for view in views], 0.1, negatives)
        assert float(ours) == pytest.approx(expected, rel=1e-9)


def test_order_and_scale_of_the_queue_do_not_matter():
    def ours(queue):
        return float(info_nce_loss(*(paddle.to_tensor(a) for a in (FIRST, SECOND, queue)), temperature=0.2))

    assert ours(QUEUE[::-1].copy()) == pytest.approx(ours(QUEUE), rel=1e-9)
    assert ours(7 * QUEUE) == pytest.approx(ours(QUEUE), rel=1e-9)


def test_two_images_at_right_angles_with_equal_views_give_a_known_loss():
    view = paddle.to_tensor([[2.0, 0.0], [0.0, 3.0]])
    e = math.e**2  # cosine 1 at temperature 0.5; of cosine 0 it is 1
    assert float(nt_xent_loss([view, view], 0.5)) == pytest.approx(math.log((e + 2) / e), rel=1e-5)
    assert float(nt_xent_loss([view, view], 0.5, "cross")) == pytest.approx(math.log((e + 1) / e), rel=1e-5)
    opposite = info_nce_loss(view, view, -view[:1], temperature=0.5)
    assert float(opposite) == pytest.approx((math.log(1 + e**-2) + math.log(1 + 1 / e)) / 2, rel=1e-5)


@pytest.mark.parametrize("negatives, candidates", [("all", 2 * 6 - 1), ("cross", 6)])
def test_identical_rows_give_the_loss_of_chance_and_a_finite_gradient(negatives, candidates):
    view = paddle.ones([6, 4])
    view.stop_gradient = False
    loss = nt_xent_loss([view, view], 0.07, negatives)
    loss.backward()
    assert float(loss) == pytest.approx(math.log(candidates), rel=1e-5)
    assert np.isfinite(view.grad.numpy()).all()


@pytest.mark.parametrize("negatives", ["all", "cross"])
def test_one_image_alone_has_nothing_to_be_told_from(negatives):
    views = [paddle.randn([1, 4]), paddle.randn([1, 4])]
    for view in views:
        view.stop_gradient = False
    loss = nt_xent_loss(views, 0.07, negatives)
    loss.backward()
    assert float(loss) == pytest.approx(0, abs=5e-6)  # similarities of 14 are that coarse
    assert max(float(view.grad.abs().max()) for view in views) < 1e-5


@pytest.mark.parametrize(
    "loss",
    [
        lambda a, b: nt_xent_loss([a, b], 0.01),
        lambda a, b: nt_xent_loss([a, b], 0.01, "cross"),
        lambda a, b: info_nce_loss(a, b, b, 0.01),
    ],
)
def test_half_precision_is_computed_in_single(loss):
    halves = [view.astype("float16") for view in (FIRST, SECOND)]
    ours = loss(*(paddle.to_tensor(half) for half in halves))
    assert ours.dtype == paddle.float32
    expected = loss(*(paddle.to_tensor(half.astype("float64")) for half in halves))
    assert float(ours) == pytest.approx(float(expected), rel=1e-5)


def test_without_a_temperature_it_is_simclrs():
    views = [paddle.to_tensor(FIRST), paddle.to_tensor(SECOND)]
    assert float(nt_xent_loss(views)) == pytest.approx(all_loop(FIRST, SECOND, 0.1), rel=1e-6)


def test_wrong_arguments_raise_value_errors():
    view = paddle.randn([4, 8])
    for views in ([view], [view, view, view], [view, view[:3]], [view[0], view[0]]):
        shapes = str([list(given.shape) for given in views])
        with pytest.raises(ValueError, match=f"two views of one shape .N, D., not {re.escape(shapes)}$"):
            nt_xent_loss(views)
    with pytest.raises(ValueError, match="some"):
        nt_xent_loss([view, view], negatives="some")
    for wrong, shapes in (
        ((view, view[:3], view), r"\[4, 8\], \[3, 8\] and \[4, 8\]"),
        ((view, view, view[:, :5]), r"\[4, 8\], \[4, 8\] and \[4, 5\]"),
        ((view[0], view[0], view[0]), r"\[8\], \[8\] and \[8\]"),
    ):
        with pytest.raises(ValueError, match=f"the queue .K, D., not {shapes}$"):
            info_nce_loss(*wrong, temperature=0.2)
    for negatives in ("all", "cross"):
        with pytest.raises(ValueError, match="^temperature must be above 0$"):
            nt_xent_loss([view, view], 0, negatives)
    with pytest.raises(ValueError, match="^temperature must be above 0$"):
        info_nce_loss(view, view, view, 0)
