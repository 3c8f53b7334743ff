"""Losses are summed in single precision under mixed precision; a CPU has none, so its switch is watched."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import paddle
import pytest

from ppcds.losses import (
    byol_loss,
    distillation_loss,
    embedding_distance,
    embedding_health,
    info_nce_loss,
    kl_divergence,
    nt_xent_loss,
    similarity_distillation_loss,
    supcon_loss,
)

LOSSES = {
    "byol": byol_loss,
    "distillation": distillation_loss,
    "kl": kl_divergence,
    "rows": embedding_distance,
    "batch": lambda a, b: embedding_distance(a, b, "batch"),
    "similarities": lambda a, b: similarity_distillation_loss([a], [b], 0.1),
    "supcon": lambda a, b: supcon_loss([a, b], paddle.to_tensor([0, 1, 0, -1])),
    "all": lambda a, b: nt_xent_loss([a, b]),
    "cross": lambda a, b: nt_xent_loss([a, b], 0.1, "cross"),
    "moco": lambda a, b: info_nce_loss(a, b, b, 0.1),
    "health": lambda a, b: embedding_health([a, b]),
}
WATCHED = (
    (paddle.nn.functional, "log_softmax"),
    (paddle.nn.functional, "normalize"),
    (paddle, "matmul"),
    (paddle.linalg, "norm"),
)


@pytest.mark.parametrize("name", LOSSES)
def test_mixed_precision_is_off_while_a_loss_is_computed(name, monkeypatch):
    enabled, states = [True], []

    @contextmanager
    def auto_cast(enable=True):
        enabled.append(enable)
        yield
        enabled.pop()

    def watched(function):
        def call(*arguments, **options):
            states.append(enabled[-1])
            return function(*arguments, **options)

        return call

    for place, function in WATCHED:
        monkeypatch.setattr(place, function, watched(getattr(place, function)))
    monkeypatch.setattr(paddle.amp, "auto_cast", auto_cast)
    views = np.random.default_rng(0).standard_normal((2, 4, 5)).astype("float32")
    LOSSES[name](*map(paddle.to_tensor, views))
    if name in ("supcon", "all"):
        states = states[1:]  # of its rows' lengths, which mixed precision itself leaves in single
    assert set(states) == {False} and enabled == [True]
