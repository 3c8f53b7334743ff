import math

import numpy as np
import paddle
import pytest

from ppcds.losses import nt_xent_loss
from ppcds.methods.simclr import SimCLR, contrastive_accuracy


@pytest.mark.parametrize("negatives", ["all", "cross"])
def test_the_loss_is_nt_xent_of_both_views_in_one_pass(negatives, make_encoder, make_views, labels):
    method = SimCLR(make_encoder(), temperature=0.3, negatives=negatives)
    method.train()
    first, second = make_views(2)
    loss = float(method([first, second], labels)["nt_xent"])
    encoder = make_encoder()  # the same first weights
    encoder.train()
    _, projections = encoder.project(paddle.concat([first, second]))
    expected = nt_xent_loss([projections[:8], projections[8:]], 0.3, negatives)
    assert loss == pytest.approx(float(expected), rel=1e-6)


def test_labels_are_not_looked_at(make_encoder, make_views, labels):
    method = SimCLR(make_encoder())
    method.eval()  # no running statistics in between
    losses = [float(method(make_views(2), some)["loss"]) for some in (labels, paddle.full_like(labels, -1))]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("negatives, candidates", [("all", 15), ("cross", 8)])
def test_chance_is_the_level_of_equal_projections(negatives, candidates, make_encoder, make_views, labels):
    method = SimCLR(make_encoder(), negatives=negatives)
    constant = paddle.ones([3, 32, 32]).expand([8, 3, 32, 32])
    loss = float(method([constant, constant], labels)["nt_xent"])
    assert method.noted["nt_xent_chance"] == pytest.approx(math.log(candidates))
    assert loss == pytest.approx(math.log(candidates), rel=1e-5)


@pytest.mark.parametrize("block", [5, 512])
@pytest.mark.parametrize("negatives", ["all", "cross"])
def test_contrastive_accuracy_counts_rows_whose_nearest_candidate_is_their_other_view(
    negatives, block, monkeypatch
):
    monkeypatch.setattr("ppcds.methods.simclr.BLOCK_ROWS", block)
    random = np.random.RandomState(0)
    first = random.randn(6, 3)
    second = first + 0.8 * random.randn(6, 3)
    rows = np.concatenate([first, second])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    hits = 0
    for i in range(12):
        candidates = [j for j in range(12) if j != i and (negatives == "all" or j // 6 != i // 6)]
        hits += max(candidates, key=lambda j: rows[i] @ rows[j]) == (i + 6) % 12
    views = [paddle.to_tensor(view.astype("float32")) for view in (first, 5 * second)]
    assert 0 < hits < 12
    assert float(contrastive_accuracy(views, negatives)) == pytest.approx(hits / 12)
