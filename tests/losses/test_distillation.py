from __future__ import annotations

import math

import numpy as np
import paddle
import pytest

from ppcds.losses import (
    cross_entropy,
    distillation_loss,
    embedding_distance,
    kl_divergence,
    similarity_distillation_loss,
)

RANDOM = np.random.default_rng(0)
STUDENT, TEACHER = 2 * RANDOM.standard_normal((2, 4, 5))


def softmax(row):
    total = sum(math.exp(value) for value in row)
    return [math.exp(value) / total for value in row]


def distillation_loop(student, teacher, temperature):
    losses = []
    for s, t in zip(student, teacher):
        pairs = zip(softmax(t / temperature), softmax(s / temperature))
        losses.append(-sum(p * math.log(q) for p, q in pairs))
    return np.mean(losses)


def kl_loop(student, teacher, temperature):
    losses = []
    for s, t in zip(student, teacher):
        pairs = zip(softmax(t / temperature), softmax(s / temperature))
        losses.append(sum(p * math.log(p / q) for p, q in pairs))
    return np.mean(losses)


def rows_loop(student, teacher):
    return np.mean([math.sqrt(sum((s - t) ** 2)) for s, t in zip(student, teacher)])


def batch_loop(student, teacher):
    return math.sqrt(sum(sum((s - t) ** 2) for s, t in zip(student, teacher)))


def similarity_loop(first, second, teacher_first, teacher_second, temperature):
    def distribution(rows, i):
        others = [rows[k] for k in range(len(rows)) if k != i]
        cosines = [
            np.dot(rows[i], o) / (np.linalg.norm(rows[i]) * np.linalg.norm(o)) / temperature for o in others
        ]
        return softmax(cosines)

    student, teacher = [*first, *second], [*teacher_first, *teacher_second]
    losses = []
    for i in range(len(student)):
        pairs = zip(distribution(teacher, i), distribution(student, i))
        losses.append(sum(p * math.log(p / q) for p, q in pairs))
    return np.mean(losses)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("loss, loop", [(distillation_loss, distillation_loop), (kl_divergence, kl_loop)])
def test_losses_of_logits_equal_a_loop_and_the_teacher_gets_no_gradient(
    require_equal, loss, loop, temperature
):
    require_equal(
        lambda student, teacher: loss(student, teacher, temperature),
        lambda student, teacher: loop(student, teacher, temperature),
        [STUDENT, TEACHER],
        trained=1,
    )


@pytest.mark.parametrize("form, loop", [("rows", rows_loop), ("batch", batch_loop)])
def test_distances_equal_a_loop_and_the_teacher_gets_no_gradient(require_equal, form, loop):
    require_equal(lambda s, t: embedding_distance(s, t, form), loop, [STUDENT, TEACHER], trained=1)


def test_similarities_equal_a_loop_and_the_teacher_gets_no_gradient(require_equal):
    wider = RANDOM.standard_normal((2, 4, 9))
    require_equal(
        lambda a, b, c, d: similarity_distillation_loss([a, b], [c, d], 0.2),
        lambda a, b, c, d: similarity_loop(a, b, c, d, 0.2),
        [STUDENT, TEACHER, *wider],
        trained=2,
    )


def test_kl_is_distillation_less_the_teachers_entropy_with_the_same_gradient():
    student, teacher = paddle.to_tensor(STUDENT, stop_gradient=False), paddle.to_tensor(TEACHER)
    entropy = distillation_loss(teacher, teacher, 2.0)
    kl, distilled = kl_divergence(student, teacher, 2.0), distillation_loss(student, teacher, 2.0)
    assert float(kl) == pytest.approx(float(distilled - entropy), rel=1e-9)
    gradients = [paddle.grad(loss, student)[0].numpy() for loss in (kl, distilled)]
    np.testing.assert_allclose(*gradients, rtol=1e-9, atol=1e-12)


def test_a_sure_teacher_is_a_label():
    labels = paddle.to_tensor([3, 0, 4, 1])
    sure = 1000 * paddle.nn.functional.one_hot(labels, 5)
    student = paddle.to_tensor(STUDENT.astype("float32"))
    expected = float(cross_entropy(student, labels))
    assert float(distillation_loss(student, sure)) == pytest.approx(expected, rel=1e-6)
    assert float(kl_divergence(student, sure)) == pytest.approx(expected, rel=1e-6)


def test_a_student_that_is_its_teacher_has_nothing_to_learn():
    student, teacher = paddle.to_tensor(STUDENT, stop_gradient=False), paddle.to_tensor(STUDENT)
    for loss in (
        kl_divergence(student, teacher, 3.0),
        embedding_distance(student, teacher, "rows"),
        embedding_distance(student, teacher, "batch"),
        similarity_distillation_loss([student], [teacher], 0.1),
    ):
        gradient = paddle.grad(loss, student)[0].numpy()
        assert float(loss) == pytest.approx(0, abs=1e-12)
        np.testing.assert_allclose(gradient, 0, atol=1e-12)  # a root's gradient at 0 could be NaN


def test_order_of_images_does_not_matter_and_views_may_change_places_together():
    order = [2, 0, 3, 1]
    s, t = paddle.to_tensor(STUDENT), paddle.to_tensor(TEACHER)
    s_mixed, t_mixed = paddle.to_tensor(STUDENT[order]), paddle.to_tensor(TEACHER[order])
    for loss in (distillation_loss, kl_divergence, embedding_distance):
        assert float(loss(s_mixed, t_mixed)) == pytest.approx(float(loss(s, t)), rel=1e-9)
    expected = float(similarity_distillation_loss([s, 2 * t], [t, s**2], 0.1))
    for views in (([2 * t, s], [s**2, t]), ([s_mixed, t_mixed], [t_mixed, s_mixed**2])):
        assert float(similarity_distillation_loss(*views, 0.1)) == pytest.approx(expected, rel=1e-9)


def test_similarities_do_not_see_a_rotation_of_the_embeddings():
    rotation = np.linalg.qr(RANDOM.standard_normal((5, 5)))[0]
    turned = paddle.to_tensor(3 * STUDENT @ rotation)
    loss = similarity_distillation_loss([paddle.to_tensor(STUDENT)], [turned], 0.1)
    assert float(loss) == pytest.approx(0, abs=1e-12)


def test_one_frobenius_norm_grows_with_the_batch_and_the_mean_of_rows_does_not():
    student, teacher = paddle.zeros([16, 2]), paddle.to_tensor([[3.0, 4.0]] * 16)
    assert float(embedding_distance(student, teacher, "rows")) == pytest.approx(5)
    assert float(embedding_distance(student, teacher, "batch")) == pytest.approx(20)
    assert float(embedding_distance(student[:1], teacher[:1], "batch")) == pytest.approx(5)


def test_two_rows_have_only_each_other_as_similar():
    views = [paddle.randn([1, 4]), paddle.randn([1, 4])]
    assert float(similarity_distillation_loss(views, views[::-1], 0.1)) == pytest.approx(0, abs=1e-6)


def test_identical_rows_and_large_logits_stay_finite():
    same = paddle.ones([4, 5])
    same.stop_gradient = False
    similarities = similarity_distillation_loss([same, same], [paddle.to_tensor(STUDENT)] * 2, 0.01)
    similarities.backward()
    assert np.isfinite(float(similarities)) and np.isfinite(same.grad.numpy()).all()
    large = paddle.to_tensor(1e4 * STUDENT.astype("float32"))
    assert np.isfinite(float(kl_divergence(large, -large)))


@pytest.mark.parametrize(
    "loss",
    [
        distillation_loss,
        kl_divergence,
        embedding_distance,
        lambda s, t: similarity_distillation_loss([s, t], [t, 2 * s], 0.01),
    ],
)
def test_half_precision_is_computed_in_single(loss):
    halves = [rows.astype("float16") for rows in (STUDENT, TEACHER)]
    ours = loss(*map(paddle.to_tensor, halves))
    expected = loss(*(paddle.to_tensor(half.astype("float64")) for half in halves))
    assert ours.dtype == paddle.float32
    assert float(ours) == pytest.approx(float(expected), rel=1e-4)


def test_wrong_arguments_raise_value_errors():
    student, teacher = paddle.to_tensor(STUDENT), paddle.to_tensor(TEACHER)
    for loss in (distillation_loss, kl_divergence, embedding_distance):
        with pytest.raises(ValueError, match=r"one shape of two dimensions, not \[4, 5\] and \[1, 5\]$"):
            loss(student, teacher[:1])
        with pytest.raises(ValueError, match=r"not \[5\] and \[5\]$"):
            loss(student[0], teacher[0])
    with pytest.raises(ValueError, match="columns"):
        embedding_distance(student, teacher, "columns")
    with pytest.raises(ValueError, match="^temperature must be above 0$"):
        distillation_loss(student, teacher, 0)
    with pytest.raises(ValueError, match="same two rows at least are needed, not 1 x 4 and 1 x 3$"):
        similarity_distillation_loss([student], [teacher[:3]], 0.1)
    with pytest.raises(ValueError, match="not 2 x 2 and 1 x 4$"):
        similarity_distillation_loss([student[:2], student[2:]], [teacher], 0.1)
    with pytest.raises(ValueError, match="not 1 x 1 and 1 x 1$"):
        similarity_distillation_loss([student[:1]], [teacher[:1]], 0.1)
