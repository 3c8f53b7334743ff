"""What holds for losses of rows and for measures of embeddings, of any shape."""

from __future__ import annotations

import math

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppcds.losses import (
    byol_loss,
    cross_entropy,
    distillation_loss,
    embedding_distance,
    embedding_health,
    kl_divergence,
    share_with_classmate,
    similarity_distillation_loss,
)

drawn = settings(max_examples=20, deadline=None, derandomize=True, database=None)

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 6)
TEMPERATURES = st.sampled_from([0.1, 0.5, 1.0, 3.0])


def random_pair(seed, num_rows, dim):
    return np.random.default_rng(seed).standard_normal((2, num_rows, dim))


@drawn
@given(seed=SEEDS, labels=st.lists(st.integers(-1, 3), min_size=1, max_size=6), twice=st.booleans())
def test_cross_entropy_is_that_of_the_labelled_rows_whatever_the_others_hold(seed, labels, twice):
    labels = np.array(labels)
    logits, others = 5 * random_pair(seed, len(labels), 4)
    changed = np.where(labels[:, None] < 0, others, logits)
    ours = float(cross_entropy(paddle.to_tensor(logits), paddle.to_tensor(labels), twice))
    assert float(cross_entropy(paddle.to_tensor(changed), paddle.to_tensor(labels), twice)) == ours
    losses = []
    for row, label in zip(logits, labels):
        if twice:
            row = np.exp(row) / np.exp(row).sum()
        if label >= 0:
            losses.append(math.log(sum(np.exp(row))) - row[label])
    assert ours == pytest.approx(np.mean(losses) if losses else 0, rel=1e-9, abs=1e-12)


@drawn
@given(seed=SEEDS, num_rows=SIZES, num_classes=st.integers(2, 12))
def test_a_second_softmax_never_goes_below_its_floor(seed, num_rows, num_classes):
    logits = 30 * random_pair(seed, num_rows, num_classes)[0]
    labels = paddle.to_tensor(logits.argmax(axis=1))
    loss = float(cross_entropy(paddle.to_tensor(logits), labels, softmax_twice=True))
    assert math.log(math.e + num_classes - 1) - 1 - 1e-9 <= loss <= math.log(num_classes) + 1e-9


@drawn
@given(seed=SEEDS, num_rows=SIZES, dim=SIZES)
def test_byol_is_four_less_the_loss_of_the_opposite_target_and_sees_no_length(seed, num_rows, dim):
    prediction, target = random_pair(seed, num_rows, dim)
    lengths = np.random.default_rng(seed).uniform(0.1, 10, (2, num_rows, 1))
    p, t = paddle.to_tensor(prediction), paddle.to_tensor(target)
    loss = float(byol_loss(p, t))
    assert 0 - 1e-9 <= loss <= 4 + 1e-9
    assert float(byol_loss(p, -t)) == pytest.approx(4 - loss, rel=1e-9, abs=1e-9)
    assert float(
        byol_loss(*map(paddle.to_tensor, lengths * np.stack([prediction, target])))
    ) == pytest.approx(loss, rel=1e-9, abs=1e-12)


@drawn
@given(seed=SEEDS, num_rows=SIZES, num_classes=SIZES, temperature=TEMPERATURES)
def test_distillation_sees_no_constant_of_a_row_and_a_temperature_as_a_factor_of_the_logits(
    seed, num_rows, num_classes, temperature
):
    student, teacher = random_pair(seed, num_rows, num_classes)
    shifts = random_pair(seed + 1, num_rows, 1)
    pair = [paddle.to_tensor(student), paddle.to_tensor(teacher)]
    shifted = [paddle.to_tensor(logits + shift) for logits, shift in zip((student, teacher), shifts)]
    divided = [logits / temperature for logits in pair]
    for loss in (distillation_loss, kl_divergence):
        expected = float(loss(*pair, temperature))
        assert float(loss(*shifted, temperature)) == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert float(loss(*divided)) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    kl = float(kl_divergence(*pair, temperature))
    entropy = float(distillation_loss(pair[1], pair[1], temperature))
    assert kl >= -1e-12 and 0 <= entropy <= math.log(num_classes) + 1e-9
    assert float(distillation_loss(*pair, temperature)) == pytest.approx(kl + entropy, rel=1e-9, abs=1e-12)


@drawn
@given(seed=SEEDS, num_rows=SIZES, dim=SIZES, factor=st.sampled_from([-3.0, 0.5, 10.0]))
def test_distances_grow_with_the_embeddings_and_see_no_common_shift(seed, num_rows, dim, factor):
    student, teacher = map(paddle.to_tensor, random_pair(seed, num_rows, dim))
    by_form = {form: float(embedding_distance(student, teacher, form)) for form in ("rows", "batch")}
    for form, distance in by_form.items():
        ours = embedding_distance(factor * student + 1, factor * teacher + 1, form)
        assert float(ours) == pytest.approx(abs(factor) * distance, rel=1e-9)
        assert float(embedding_distance(teacher, student, form)) == pytest.approx(distance, rel=1e-12)
    # the mean of the rows' lengths is at most the root of the mean of their squares
    assert by_form["rows"] <= by_form["batch"] / math.sqrt(num_rows) + 1e-9
    assert by_form["batch"] <= num_rows * by_form["rows"] + 1e-9


@drawn
@given(seed=SEEDS, num_views=st.integers(1, 3), num_images=st.integers(2, 4), temperature=TEMPERATURES)
def test_similarities_are_learned_up_to_order_length_and_rotation(seed, num_views, num_images, temperature):
    rng = np.random.default_rng(seed)
    student = rng.standard_normal((num_views, num_images, 3))
    teacher = rng.standard_normal((num_views, num_images, 5))
    views = [[paddle.to_tensor(view) for view in views] for views in (student, teacher)]
    loss = float(similarity_distillation_loss(*views, temperature))
    assert loss >= -1e-12
    order, rotation = rng.permutation(num_images), np.linalg.qr(rng.standard_normal((5, 5)))[0]
    lengths = rng.uniform(0.1, 10, (num_images, 1))
    mixed = [paddle.to_tensor((lengths * view)[order]) for view in student]
    turned = [paddle.to_tensor((view @ rotation)[order]) for view in teacher]
    ours = similarity_distillation_loss(mixed, turned, temperature)
    assert float(ours) == pytest.approx(loss, rel=1e-8, abs=1e-10)
    same = similarity_distillation_loss(views[1], turned_back(turned, order, lengths), temperature)
    assert float(same) == pytest.approx(0, abs=1e-10)


def turned_back(views, order, lengths):
    """Views in their first order, of other lengths."""
    return [paddle.to_tensor(view.numpy()[np.argsort(order)] * lengths) for view in views]


@drawn
@given(seed=SEEDS, num_views=st.integers(1, 3), num_images=SIZES, dim=SIZES)
def test_measures_of_embeddings_keep_to_their_bounds_and_see_no_order(seed, num_views, num_images, dim):
    rng = np.random.default_rng(seed)
    views = rng.standard_normal((num_views, num_images, dim))
    found = measured(views)
    assert 1 - 1e-5 <= found["effective_rank"] <= min(num_views * num_images, dim) + 1e-4
    assert 0 <= found["alignment"] <= 4 + 1e-5
    assert -8 - 1e-5 <= found["uniformity"] <= 1e-6
    assert found["uniformity"] < 0 or num_images == 1 or dim == 1
    mixed = views[rng.permutation(num_views)][:, rng.permutation(num_images)]
    assert measured(mixed) == pytest.approx(found, rel=1e-4, abs=1e-5)


def measured(views):
    measures = embedding_health([paddle.to_tensor(view) for view in views])
    assert {value.dtype for value in measures.values()} == {paddle.float32}
    return {name: float(value) for name, value in measures.items()}


@drawn
@given(labels=st.lists(st.integers(-1, 4), min_size=1, max_size=12), seed=SEEDS)
def test_the_share_of_images_with_a_classmate_is_counted_whatever_classes_are_called(labels, seed):
    labels = np.array(labels)
    counts = [(labels == label).sum() for label in labels if label >= 0]
    expected = np.mean([count > 1 for count in counts]) if counts else 0.0
    names = np.append(np.random.default_rng(seed).permutation(1000)[:5], -1)
    for ids in (labels, names[labels]):
        share = share_with_classmate(paddle.to_tensor(ids))
        assert float(share) == pytest.approx(expected, rel=1e-6) and share.dtype == paddle.float32
