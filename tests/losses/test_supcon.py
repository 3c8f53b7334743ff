from __future__ import annotations

from pathlib import Path

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from ppcds.losses import SupConLoss, supcon_loss

REFERENCE = Path(__file__).parents[1] / "reference" / "official_cds.npz"


@pytest.fixture(scope="module")
def official():
    with np.load(REFERENCE) as file:
        return {name: file[name] for name in file.files if name.startswith("supcon")}


def unit_rows(rng, *shape):
    features = rng.standard_normal(shape).astype("float32")
    return features / np.linalg.norm(features, axis=-1, keepdims=True)


def loop_loss(views, labels, temperature):
    """Eq. 2 of the paper, anchor by anchor; views: list of V arrays [N, D] of unit rows."""
    num_views, num_images = len(views), len(views[0])
    index = [(v, i) for v in range(num_views) for i in range(num_images)]
    losses = []
    for v, i in index:
        others = [o for o in index if o != (v, i)]
        exp = {(w, j): np.exp(np.dot(views[v][i], views[w][j]) / temperature) for w, j in others}
        same = [(w, j) for w, j in others if j == i or (labels[i] >= 0 and labels[j] == labels[i])]
        if same:
            losses.append(-np.mean([np.log(exp[p] / sum(exp.values())) for p in same]))
    return np.mean(losses) if losses else 0.0


def test_the_notebooks_example_gives_its_printed_value():
    features = paddle.to_tensor([[[1, 2, 3], [2, 2, 2]], [[1, 1, 1], [2, 2, 4]], [[1, 1, 1], [1, 0, 6]]])
    features = F.normalize(features.astype("float32"), axis=-1)
    labels = paddle.to_tensor([1, 2, 1])
    assert float(SupConLoss()(features, labels)) == pytest.approx(2.38157272, abs=1e-5)
    assert float(supcon_loss([features[:, 0], features[:, 1]], labels)) == pytest.approx(2.38157272, abs=1e-5)


@pytest.mark.parametrize("case", range(66))
def test_loss_and_gradient_equal_the_authors_code(official, case):
    given = {
        name.split(".")[1]: value for name, value in official.items() if name.startswith(f"supcon{case}.")
    }
    features = paddle.to_tensor(given["features"], stop_gradient=False)
    kind = str(given["kind"])
    loss = SupConLoss(
        temperature=float(given["temperature"]),
        contrast_mode=str(given["mode"]),
        base_temperature=float(given["base_temperature"]),
    )(
        F.normalize(features, axis=2),
        labels=paddle.to_tensor(given["labels"]) if kind == "labels" else None,
        mask=paddle.to_tensor(given["mask"]) if kind == "mask" else None,
    )
    loss.backward()
    assert float(loss) == pytest.approx(float(given["loss"]), rel=1e-5)
    error = np.linalg.norm(features.grad.numpy() - given["grad"])
    assert error <= 1e-4 * np.linalg.norm(given["grad"])


def test_all_66_cases_are_in_the_reference(official):
    assert int(official["supcon.count"]) == 66


@pytest.mark.parametrize("num_views", [1, 2, 3])
@pytest.mark.parametrize("labels", [[0, 1, 0, 1, 2], [0, -1, 0, -1, 1], [-1] * 5, [3] * 5])
def test_loss_equals_a_loop_over_the_equation(num_views, labels):
    rng = np.random.default_rng(num_views)
    views = list(unit_rows(rng, num_views, 5, 6))
    ours = supcon_loss([paddle.to_tensor(3 * v) for v in views], paddle.to_tensor(labels), temperature=0.2)
    assert float(ours) == pytest.approx(loop_loss(views, labels, 0.2), rel=1e-5, abs=1e-7)


def test_unlabelled_rows_attract_only_their_own_views():
    rng = np.random.default_rng(0)
    views = [paddle.to_tensor(v) for v in unit_rows(rng, 2, 4, 8)]
    unlabelled = supcon_loss(views, paddle.to_tensor([-1, -1, -1, -1]))
    assert float(unlabelled) == pytest.approx(float(supcon_loss(views)), rel=1e-6)
    one_class = supcon_loss(views, paddle.to_tensor([0, 0, 0, 0]))
    assert abs(float(unlabelled) - float(one_class)) > 0.1


def test_order_of_images_order_of_views_scale_and_class_ids_do_not_matter():
    rng = np.random.default_rng(1)
    first, second = unit_rows(rng, 2, 6, 8)
    labels = np.array([0, 1, 1, 0, 2, 2])
    order = rng.permutation(6)
    expected = float(
        supcon_loss([paddle.to_tensor(first), paddle.to_tensor(second)], paddle.to_tensor(labels))
    )
    for views, ids in (
        ((first[order], second[order]), labels[order]),
        ((second, first), labels),
        ((5 * first, 0.1 * second), labels),
        ((first, second), 7 - labels),
        ((first, second), labels[:, None]),
    ):
        ours = supcon_loss([paddle.to_tensor(v.astype("float32")) for v in views], paddle.to_tensor(ids))
        assert float(ours) == pytest.approx(expected, rel=1e-5)


def test_features_are_not_normalised_by_the_layer():
    features = paddle.to_tensor(unit_rows(np.random.default_rng(2), 4, 2, 8))
    assert abs(float(SupConLoss()(features)) - float(SupConLoss()(2 * features))) > 0.1


def test_trailing_dimensions_are_one_vector():
    features = paddle.to_tensor(unit_rows(np.random.default_rng(3), 4, 2, 12))
    folded = features.reshape([4, 2, 3, 2, 2])
    assert float(SupConLoss()(folded)) == pytest.approx(float(SupConLoss()(features)), rel=1e-6)


def test_anchors_without_a_positive_are_left_out_of_the_mean():
    features = unit_rows(np.random.default_rng(4), 5, 1, 8)
    labels = [0, 0, 1, 2, 3]
    ours = SupConLoss(0.5, base_temperature=0.5)(paddle.to_tensor(features), paddle.to_tensor(labels))
    assert float(ours) == pytest.approx(loop_loss([features[:, 0]], labels, 0.5), rel=1e-5)


def test_a_mean_over_one_anchor_alone_is_its_loss():
    features = unit_rows(np.random.default_rng(7), 4, 1, 8)
    mask = np.zeros((4, 4), "float32")
    mask[1, 2] = 1
    similarity = features[:, 0] @ features[1, 0] / 0.5
    expected = np.log(np.exp(similarity[[0, 2, 3]]).sum()) - similarity[2]
    ours = SupConLoss(0.5, base_temperature=0.5)(paddle.to_tensor(features), mask=paddle.to_tensor(mask))
    assert float(ours) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape, labels", [([4, 1, 8], [0, 1, 2, 3]), ([1, 1, 8], [0]), ([3, 1, 8], None)])
def test_without_any_positive_the_loss_is_0_and_the_backward_works(shape, labels):
    features = paddle.randn(shape)
    features.stop_gradient = False
    loss = SupConLoss()(features, None if labels is None else paddle.to_tensor(labels))
    loss.backward()
    assert float(loss) == 0
    assert features.grad.shape == shape and float(features.grad.abs().max()) == 0


def test_large_features_stay_finite():
    features = paddle.to_tensor(unit_rows(np.random.default_rng(5), 6, 2, 8) * 100)
    features.stop_gradient = False
    loss = SupConLoss()(features, paddle.to_tensor([0, 0, 1, 1, 2, 2]))
    loss.backward()
    assert np.isfinite(float(loss)) and np.isfinite(features.grad.numpy()).all()


def test_a_feature_that_is_not_a_number_is_not_hidden():
    features = unit_rows(np.random.default_rng(6), 4, 2, 8)
    features[0, 0, 0] = np.nan
    assert np.isnan(float(SupConLoss()(paddle.to_tensor(features))))


def test_wrong_arguments_raise_value_errors():
    features, labels, mask = paddle.randn([4, 2, 8]), paddle.to_tensor([0, 1, 0, 1]), paddle.eye(4)
    with pytest.raises(ValueError, match="^give labels or mask, not both$"):
        SupConLoss()(features, labels, mask)
    with pytest.raises(ValueError, match=r"\[N, V"):
        SupConLoss()(features[:, 0])
    with pytest.raises(ValueError, match="3 labels for 4 images"):
        SupConLoss()(features, labels[:3])
    with pytest.raises(ValueError, match="mask"):
        SupConLoss()(features, mask=paddle.eye(3))
    with pytest.raises(ValueError, match="some"):
        SupConLoss(contrast_mode="some")
    for temperatures in ({"temperature": 0.0}, {"base_temperature": 0.0}):
        with pytest.raises(ValueError, match="^temperature and base_temperature must be above 0$"):
            SupConLoss(**temperatures)
    with pytest.raises(ValueError, match="^a contrastive loss needs two rows at least: two views, or two im"):
        supcon_loss([paddle.randn([1, 8])])
    with pytest.raises(ValueError, match="two rows"):
        supcon_loss([])
