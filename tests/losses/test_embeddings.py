from __future__ import annotations

import itertools

import numpy as np
import paddle
import pytest

from ppcds.losses import embedding_health, share_with_classmate
from ppcds.losses.embeddings import MOST_ROWS, unit_rows

RANDOM = np.random.default_rng(0)


def health(*views):
    measures = embedding_health([paddle.to_tensor(np.asarray(view, dtype="float32")) for view in views])
    return {name: float(value) for name, value in measures.items()}


def loop_health(views):
    views = [view / np.linalg.norm(view, axis=1, keepdims=True) for view in views]
    singular = np.linalg.svd(np.concatenate(views), compute_uv=False)
    share = singular / singular.sum()
    count = len(views[0])
    apart = [
        sum((views[v][i] - views[w][j]) ** 2)
        for v, w in itertools.product(range(len(views)), repeat=2)
        for i, j in itertools.permutations(range(count), 2)
    ]
    together = [sum((a[i] - b[i]) ** 2) for a, b in itertools.combinations(views, 2) for i in range(count)]
    return {
        "effective_rank": np.exp(-sum(share * np.log(share))),
        "alignment": np.mean(together),
        "uniformity": np.log(np.mean(np.exp(-2 * np.array(apart)))),
    }


@pytest.mark.parametrize("shape", [(2, 6, 4), (2, 3, 9), (3, 4, 5), (2, 2, 3)])
def test_measures_equal_their_definitions(shape):
    views = RANDOM.standard_normal(shape)
    assert health(*views) == pytest.approx(loop_health(list(views)), rel=1e-4)


def test_known_embeddings_give_known_measures():
    classes = np.eye(10)[np.arange(60) % 10]
    same_class = 5 / 59  # of 59 other images
    uniform = np.log(same_class + (1 - same_class) * np.exp(-4))
    assert health(classes, classes) == pytest.approx(
        {"effective_rank": 10, "alignment": 0, "uniformity": uniform}, rel=1e-4, abs=1e-6
    )
    equal = np.ones((8, 4))
    nothing = {"effective_rank": 1, "alignment": 0, "uniformity": 0}
    assert health(equal, equal) == pytest.approx(nothing, abs=1e-3)
    assert health(equal, -equal)["alignment"] == pytest.approx(4)
    line = equal * np.array([1, -1] * 4)[:, None]
    assert health(line, line)["effective_rank"] == pytest.approx(1, abs=1e-3)


def test_order_of_views_and_images_scale_and_rotation_do_not_matter():
    first, second = RANDOM.standard_normal((2, 7, 5))
    rotation, order = np.linalg.qr(RANDOM.standard_normal((5, 5)))[0], RANDOM.permutation(7)
    expected = health(first, second)
    assert health(second[order], first[order]) == pytest.approx(expected, rel=1e-4)
    assert health(3 * first @ rotation, 0.1 * second @ rotation) == pytest.approx(expected, rel=1e-4)


def test_many_images_are_measured_on_the_first_rows_alone():
    views = RANDOM.standard_normal((2, 200, 6))
    first = [view[: MOST_ROWS // 2] for view in views]
    assert health(*views) == pytest.approx(health(*first), rel=1e-6)


def test_one_image_one_view_zeros_and_half_precision_have_measures():
    assert health(np.ones((1, 4)), np.ones((1, 4)))["uniformity"] == 0
    assert health(np.eye(4))["alignment"] == 0
    zeros = {"effective_rank": 1, "alignment": 0, "uniformity": 0}
    assert health(np.zeros((4, 3)), np.zeros((4, 3))) == pytest.approx(zeros)
    half = paddle.to_tensor(RANDOM.standard_normal((6, 4)).astype("float16"))
    assert float(embedding_health([half])["effective_rank"]) == pytest.approx(
        health(half.numpy())["effective_rank"], rel=1e-5
    )


def test_measures_leave_no_gradient_and_a_nan_shows():
    view = paddle.randn([4, 8])
    view.stop_gradient = False
    measures = embedding_health([view, view])
    assert all(value.stop_gradient and value.shape == [] for value in measures.values())
    broken = np.ones((4, 8))
    broken[0, 0] = np.nan
    assert all(np.isnan(value) for value in health(broken, broken).values())


def test_unit_rows_have_length_1_and_zeros_stay():
    rows = unit_rows(paddle.to_tensor([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(rows.numpy(), [[0.6, 0.8], [0, 0]], rtol=1e-6)
    assert unit_rows(rows.astype("float16")).dtype == paddle.float32
    assert unit_rows(rows.astype("float64")).dtype == paddle.float64


@pytest.mark.parametrize(
    "labels, share",
    [
        ([0, 1, 0, 2], 0.5),
        ([0, 0, -1, -1], 1.0),  # unlabelled images are nobody's class
        ([0, 1, 2, 3], 0.0),
        ([-1, -1, -1, -1], 0.0),
        ([5, 5, 5, 5], 1.0),
    ],
)
def test_the_share_of_labelled_images_with_a_classmate(labels, share):
    for ids in (paddle.to_tensor(labels), paddle.to_tensor(labels)[:, None]):
        assert float(share_with_classmate(ids)) == share
