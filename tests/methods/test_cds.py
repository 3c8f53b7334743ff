import math

import numpy as np
import paddle
import pytest

from ppcds.errors import UserError
from ppcds.losses import cross_entropy, supcon_loss
from ppcds.methods.cds import ContrastiveDeepSupervision
from ppcds.options import check_options


def contrast_of(method, views, labels):
    """{stage: its contrastive loss without weight}, one stage after the other."""
    stages = method.network.stage_features(paddle.concat(views))
    values = {}
    for stage in method.network.stages:
        embedding = method.network.heads[str(stage - 1)](stages[stage - 1])
        pair = [embedding[: len(labels)], embedding[len(labels) :]]
        values[stage] = float(supcon_loss(pair, labels, method.temperature[stage]))
    return values


def test_each_stage_has_its_own_weight_and_temperature_in_the_order_of_stages(
    make_classifier, make_views, labels
):
    weight, temperature = [0.5, 0.0, 0.25], [0.07, 0.2, 1.0]
    method = ContrastiveDeepSupervision(
        make_classifier(), weight=weight, temperature=temperature, stages=(4, 1, 2)
    )
    method.eval()
    views = make_views(2)
    parts = {name: float(value) for name, value in method(views, labels).items()}
    assert method.temperature == {4: 0.07, 1: 0.2, 2: 1.0}
    contrast = contrast_of(method, views, labels)
    assert parts["contrastive_stage4"] == pytest.approx(0.5 * contrast[4], rel=1e-5)
    assert parts["contrastive_stage1"] == 0
    assert parts["contrastive_stage2"] == pytest.approx(0.25 * contrast[2], rel=1e-5)
    assert "contrastive_stage3" not in parts
    assert parts.pop("loss") == pytest.approx(sum(parts.values()), rel=1e-6)


def test_stages_without_a_contrast_have_no_head_and_a_contrast_does_not_reach_later_stages(
    make_classifier, make_views, labels
):
    method = ContrastiveDeepSupervision(make_classifier(), stages=(2,), mlp=(8, 6))
    parts = method(make_views(2), labels)
    assert set(parts) == {"loss", "cross_entropy", "contrastive_stage2"}
    assert [name for name in method.state_dict() if ".mlp." in name]
    parts["contrastive_stage2"].backward()
    reached = {name for name, p in method.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    trained = {name for name, p in method.named_parameters() if not p.stop_gradient}
    later = {
        n for n in trained if n.startswith(tuple(f"network.backbone.{k}" for k in ("layer3", "layer4", "fc")))
    }
    assert reached == trained - later


def test_the_cosine_schedule_takes_the_contrast_to_0_and_leaves_cross_entropy(
    make_classifier, make_views, labels
):
    method = ContrastiveDeepSupervision(make_classifier(), weight_schedule="cosine")
    method.eval()
    views, seen = make_views(2), {}
    for method.progress in (0.0, 0.25, 0.5, 1.0):
        seen[method.progress] = {name: float(value) for name, value in method(views, labels).items()}
    start = seen[0.0]["contrastive_stage3"]
    for progress, share in ((0.25, 0.5 + math.sqrt(0.125)), (0.5, 0.5), (1.0, 0.0)):
        assert seen[progress]["contrastive_stage3"] == pytest.approx(share * start, rel=1e-5, abs=1e-7)
        assert seen[progress]["cross_entropy"] == pytest.approx(seen[0.0]["cross_entropy"], rel=1e-6)


def test_cross_entropy_stands_on_one_view_or_on_both(make_classifier, make_views, labels):
    views = make_views(2)
    found = {}
    for count in (1, 2):
        method = ContrastiveDeepSupervision(make_classifier(), classified_views=count)
        method.eval()
        found[count] = float(method(views, labels)["cross_entropy"])
    each = [float(cross_entropy(method.deployed()(view), labels)) for view in views]
    assert found[1] == pytest.approx(each[0], rel=1e-5)
    assert found[2] == pytest.approx(sum(each) / 2, rel=1e-5)
    assert each[0] != pytest.approx(each[1], rel=1e-3)


@pytest.mark.parametrize("classified_views", [1, 2])
def test_unlabelled_rows_give_the_classifier_nothing_and_the_heads_something(
    make_classifier, make_views, labels, classified_views
):
    method = ContrastiveDeepSupervision(make_classifier(), classified_views=classified_views)
    method.eval()  # rows do not meet in batch norm
    half = labels.clone()
    half[4:] = -1

    def gradients(rows):
        views = [view[:rows] for view in make_views(2)]
        method(views, half[:rows])["loss"].backward()
        found = {name: p.grad.numpy() for name, p in method.named_parameters() if p.grad is not None}
        method.clear_gradients()
        return found

    all_rows, labelled_rows = gradients(8), gradients(4)
    for name in ("weight", "bias"):
        fc = f"network.backbone.fc.{name}"
        np.testing.assert_allclose(all_rows[fc], labelled_rows[fc], rtol=1e-4, atol=1e-7)
    assert not np.allclose(
        all_rows["network.backbone.conv1.weight"], labelled_rows["network.backbone.conv1.weight"]
    )


def test_without_any_label_the_classifier_stays_and_the_contrast_is_simclr(
    make_classifier, make_views, labels
):
    views, none = make_views(2), paddle.full_like(labels, -1)
    method = ContrastiveDeepSupervision(make_classifier())
    method.eval()
    parts = method(views, none)
    parts["loss"].backward()
    assert float(parts["cross_entropy"]) == 0
    assert float(method.network.backbone.fc.weight.grad.abs().sum()) == 0
    simclr = ContrastiveDeepSupervision(make_classifier(), contrast="simclr")
    simclr.eval()
    assert float(parts["contrastive_stage1"]) == pytest.approx(
        float(simclr(views, labels)["contrastive_stage1"]), rel=1e-6
    )


def test_notes_hold_the_weighted_chance_levels_and_the_health_of_the_last_head(
    make_classifier, make_views, labels
):
    method = ContrastiveDeepSupervision(make_classifier(), weight=[0.1, 0.4], stages=(1, 3))
    half = labels.clone()
    half[:5] = -1  # left are 1, 2, 3: none with a classmate
    half[0] = 1
    method(make_views(2), half)
    assert method.noted["contrastive_stage1_chance"] == pytest.approx(0.1 * math.log(15))
    assert method.noted["contrastive_stage3_chance"] == pytest.approx(0.4 * math.log(15))
    assert 1 < float(method.noted["stage3_effective_rank"]) <= 16
    assert 0 < float(method.noted["stage3_alignment"]) < 4
    assert float(method.noted["stage3_uniformity"]) < 0
    assert float(method.noted["share_with_classmate"]) == pytest.approx(2 / 4)
    simclr = ContrastiveDeepSupervision(make_classifier(), contrast="simclr")
    simclr(make_views(2), half)
    assert "share_with_classmate" not in simclr.noted


@pytest.mark.parametrize(
    "options, named",
    [
        ({"weight": [0.1, 0.2]}, "method.weight: 2 numbers for the 4 stages"),
        ({"weight": [0.1, 0.1, 0.1, -0.1]}, "method.weight"),
        ({"temperature": [0.1] * 5}, "method.temperature: 5 numbers for the 4 stages"),
        ({"temperature": 0.0}, "method.temperature"),
        ({"stages": (1, 2, 2)}, "method.stages"),
        ({"stages": ()}, "method.stages"),
    ],
)
def test_options_that_do_not_fit_the_stages_are_refused_by_name(make_classifier, options, named):
    with pytest.raises(UserError, match=named):
        ContrastiveDeepSupervision(make_classifier(), **options)


def test_a_recipe_gives_numbers_or_lists_of_them():
    def check(**given):
        return check_options(ContrastiveDeepSupervision, given, "method", skip=("backbone",))

    checked = check(weight=[1, 0.5], stages=[1, 2], mlp=[8, 4], temperature="1e-1")
    assert (checked["weight"], checked["temperature"]) == ([1.0, 0.5], 0.1)
    assert (checked["stages"], checked["mlp"]) == ((1, 2), (8, 4))
    with pytest.raises(UserError, match="^method.weight: True should be a number, or a list"):
        check(weight=True)
    with pytest.raises(UserError, match="^method.stages.0: 5 should be"):
        check(stages=[5])
