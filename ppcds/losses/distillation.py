"""What a student learns from a teacher, which gets no gradient: its classes, embeddings or similarities."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F

from ppcds.losses.embeddings import unit_rows
from ppcds.losses.supcon import single_precision


def distillation_loss(
    student_logits: paddle.Tensor, teacher_logits: paddle.Tensor, temperature: float = 1.0
) -> paddle.Tensor:
    """Cross entropy with the teacher's classes: mean over rows of -sum p_teacher log p_student.

    Both logits [N, C] are divided by the temperature.  Returns a scalar.
    SimCLR v2 (Chen et al. 2020, arXiv:2006.10029, eq. 2), which sums over rows. Hinton et al. 2015 scale by
    the squared temperature; neither SimCLR v2 nor the official code of CDS does (CIFAR/distill.py,
    temperature 3), nor do we.
    """
    with paddle.amp.auto_cast(enable=False):
        log_student, log_teacher = _log_probabilities(student_logits, teacher_logits, temperature)
        return -(log_teacher.exp() * log_student).sum(axis=1).mean()


def kl_divergence(
    student_logits: paddle.Tensor, teacher_logits: paddle.Tensor, temperature: float = 1.0
) -> paddle.Tensor:
    """Mean over rows of KL(teacher || student): `distillation_loss` less the teacher's entropy.

    Same arguments and same gradient; 0 where student and teacher agree.
    """
    with paddle.amp.auto_cast(enable=False):
        return _mean_kl(*_log_probabilities(student_logits, teacher_logits, temperature))


def embedding_distance(student: paddle.Tensor, teacher: paddle.Tensor, form: str = "rows") -> paddle.Tensor:
    """Euclidean distance of embeddings [N, D], taken as they are (not normalised here).  Returns a scalar.

    form: "rows", the mean of the rows' distances; "batch", one Frobenius norm over the batch as in the
    official code of CDS (CIFAR/distill.py), which grows with the root of the batch size.
    """
    _require_one_shape(student, teacher)
    with paddle.amp.auto_cast(enable=False):
        difference = single_precision(student) - single_precision(teacher.detach())
        if form == "rows":
            return paddle.linalg.norm(difference, axis=1).mean()
        if form == "batch":
            return paddle.linalg.norm(difference)
    raise ValueError(f"unknown form {form!r}: use rows or batch")


def similarity_distillation_loss(
    student_views: list[paddle.Tensor], teacher_views: list[paddle.Tensor], temperature: float
) -> paddle.Tensor:
    """KL(teacher || student) of contrastive similarities, as the AI Studio notebook reads CDS distillation.

    views: V tensors [N, D] each, any scale (normalised here); D of teacher and student may differ. A row's
    distribution is the softmax of its cosines to the V N - 1 others, over the temperature.  Returns the
    mean over the V N rows.
    Raises ValueError if they are not the same images, or fewer than two rows.
    """
    student, teacher = paddle.concat(student_views), paddle.concat(teacher_views)
    if len(student_views) != len(teacher_views) or len(student) != len(teacher) or len(student) < 2:
        counts = f"{len(student_views)} x {student_views[0].shape[0]} and {len(teacher_views)} x "
        raise ValueError(f"the same two rows at least are needed, not {counts}{teacher_views[0].shape[0]}")
    with paddle.amp.auto_cast(enable=False):
        similarities = (_similarity_to_others(student), _similarity_to_others(teacher))
        return _mean_kl(*_log_probabilities(*similarities, temperature))


def _similarity_to_others(embeddings: paddle.Tensor) -> paddle.Tensor:
    """[M, D] -> [M, M - 1]: the cosines without the diagonal, each row in the order of the others."""
    rows = unit_rows(embeddings)
    cosine, count = paddle.matmul(rows, rows, transpose_y=True), len(rows)
    # Read row after row, every (M + 1)th cosine is a row's with itself: the first column after a shift.
    return cosine.flatten()[:-1].reshape([count - 1, count + 1])[:, 1:].reshape([count, count - 1])


def _log_probabilities(student, teacher, temperature: float) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Log softmax of both [N, C] at a temperature; the teacher's without gradient."""
    _require_one_shape(student, teacher)
    if temperature <= 0:
        raise ValueError("temperature must be above 0")
    student, teacher = single_precision(student), single_precision(teacher.detach())
    return F.log_softmax(student / temperature, axis=1), F.log_softmax(teacher / temperature, axis=1)


def _mean_kl(log_student: paddle.Tensor, log_teacher: paddle.Tensor) -> paddle.Tensor:
    return (log_teacher.exp() * (log_teacher - log_student)).sum(axis=1).mean()


def _require_one_shape(student: paddle.Tensor, teacher: paddle.Tensor) -> None:
    if student.ndim != 2 or student.shape != teacher.shape:
        shapes = f"{list(student.shape)} and {list(teacher.shape)}"
        raise ValueError(f"student and teacher need one shape of two dimensions, not {shapes}")
