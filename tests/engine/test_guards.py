from __future__ import annotations

import numpy as np
import paddle
import pytest

from ppcds.engine.guards import warnings_about
from ppcds.losses import contrast_levels, embedding_health

RANDOM = np.random.default_rng(0)
DIRECTION = RANDOM.standard_normal((1, 32))
SIGNS = np.where(np.arange(64) % 2, -1, 1)[:, None]


def warned(views, prefix="embedding_"):
    measures = embedding_health([paddle.to_tensor(np.asarray(view, dtype="float32")) for view in views])
    return warnings_about({f"{prefix}{name}": float(value) for name, value in measures.items()})


@pytest.mark.parametrize(
    "rows",
    [
        RANDOM.standard_normal((64, 32)),
        np.maximum(RANDOM.standard_normal((64, 32)), 0),
        np.eye(10)[np.arange(64) % 10],
        np.eye(10)[np.arange(64) % 10] - 0.1,
        np.eye(2)[np.arange(64) % 2],
        RANDOM.standard_normal((6, 32)),
    ],
    ids=["gaussian", "behind a ReLU", "ten classes", "simplex of ten", "two classes", "six images"],
)
def test_healthy_embeddings_bring_no_warning(rows):
    assert warned([rows, rows]) == []
    assert warned([rows, rows + 0.1 * RANDOM.standard_normal(rows.shape)]) == []


@pytest.mark.parametrize("noise", [0, 0.01, 0.05])
@pytest.mark.parametrize("prefix", ["", "embedding_", "train_stage1_"])
def test_equal_embeddings_bring_one_warning_that_names_the_measure(noise, prefix):
    views = [DIRECTION + noise * RANDOM.standard_normal((64, 32)) for _ in range(2)]
    (warning,) = warned(views, prefix)
    assert warning.startswith(f"{prefix}uniformity -0") or warning.startswith(f"{prefix}uniformity 0")
    assert "collapsed" in warning and "optim.learning_rate" in warning


def test_embeddings_on_one_line_are_told_from_collapsed_ones():
    (warning,) = warned([SIGNS * DIRECTION, SIGNS * DIRECTION])
    assert warning.startswith("embedding_effective_rank 1:") and "one line" in warning


def test_each_representation_has_its_own_warning():
    measures = {"stage1_uniformity": -0.001, "stage1_effective_rank": 1.0, "stage2_effective_rank": 1.0}
    assert [line.split()[0] for line in warnings_about(measures)] == [
        "stage1_uniformity",
        "stage2_effective_rank",
    ]


def test_a_supervised_contrast_without_classmates_is_told():
    (few,) = warnings_about({"train_share_with_classmate": 0.02})
    assert "labels hardly act" in few and "data.labelled_per_batch" in few
    assert warnings_about({"share_with_classmate": 0.9}) == []


def test_other_measures_bring_no_warning():
    assert warnings_about({"loss": 0.0, "uniformity_weight": 0.0, "contrastive_accuracy": 0.0}) == []


def test_the_temperatures_of_the_papers_are_not_flat_and_ten_is():
    for candidates in (11, 255, 8191, 65537):
        for temperature in (0.05, 0.07, 0.1, 0.2, 0.5):
            assert warnings_about(contrast_levels("nt_xent", candidates, temperature)) == []
        assert len(warnings_about(contrast_levels("nt_xent", candidates, 10))) == 1


def test_a_flat_temperature_is_told_whatever_the_weight():
    (warning,) = warnings_about(contrast_levels("noted_nt_xent", 255, 10, weight=0.1))
    assert warning.startswith("noted_nt_xent_lowest 0.53") and "makes this loss flat" in warning
