"""Embeddings and what can be measured on them while they are trained."""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F

from ppcds.losses.supcon import single_precision

MOST_ROWS = 128  # the cost grows with the cube of it, and methods measure several embeddings a step


def unit_rows(embeddings: paddle.Tensor) -> paddle.Tensor:
    """[N, D] -> [N, D] with rows of length 1 (a row of zeros stays one), in float32 or float64."""
    return F.normalize(single_precision(embeddings), axis=1)


def embedding_health(views: list[paddle.Tensor]) -> dict[str, paddle.Tensor]:
    """How embeddings are spread, as scalars without gradient: effective_rank, alignment, uniformity.

    views: V tensors [N, D], any scale (normalised here); the first images alone where V N exceeds MOST_ROWS.
    effective_rank: exp of the entropy of the normalised singular values, not centred, 1 to min(V N, D)
    (Roy & Vetterli 2007; RankMe, arXiv:2210.02885).  alignment: mean squared distance of two views of an
    image, 0 to 4; 0 for one view.  uniformity: log of the mean of exp(-2 d^2) over rows of different images,
    -8 to 0; 0 for one image (both Wang & Isola 2020, arXiv:2005.10242).
    """
    num_images = max(1, min(views[0].shape[0], MOST_ROWS // len(views)))
    with paddle.no_grad(), paddle.amp.auto_cast(enable=False):
        rows = unit_rows(paddle.concat([view[:num_images] for view in views]))
    # In NumPy, whose eigenvalues come several times sooner than Paddle's on a CPU; in double precision, as
    # the eigenvalues are squares of the singular values.
    rows = rows.numpy().astype("float64")
    gram = rows @ rows.T
    length = np.diag(gram)
    squared_distance = np.maximum(length[:, None] + length - 2 * gram, 0)
    image = np.tile(np.arange(num_images), len(views))
    same_image = image[:, None] == image
    two_views = same_image & ~np.eye(len(rows), dtype=bool)
    measures = {
        "effective_rank": rank_of_gram(gram if len(rows) <= rows.shape[1] else rows.T @ rows),
        "alignment": squared_distance[two_views].mean() if len(views) > 1 else 0.0,
        "uniformity": np.log(np.exp(-2 * squared_distance[~same_image]).mean()) if num_images > 1 else 0.0,
    }
    return {name: paddle.to_tensor(value, dtype="float32") for name, value in measures.items()}


def rank_of_gram(gram: np.ndarray) -> float:
    """Of a matrix, from its products of rows (or of columns: their nonzero eigenvalues are the same)."""
    if not np.isfinite(gram).all():
        return float("nan")  # eigvalsh would give numbers
    singular = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0))
    share = singular[singular > 0] / singular.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def share_with_classmate(labels: paddle.Tensor) -> paddle.Tensor:
    """Share of labelled images with another image of their class among labels [N]; 0 where none is labelled.

    Near 0 the labels take no part in a supervised contrast, which is then one of views alone.
    """
    labels = labels.flatten()
    _, classes, sizes = paddle.unique(labels, return_inverse=True, return_counts=True)
    labelled = (labels >= 0).astype("float32")
    has_classmate = (sizes[classes] > 1).astype("float32") * labelled
    return has_classmate.sum() / labelled.sum().clip(min=1)
