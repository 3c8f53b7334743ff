import paddle
import pytest

from ppcds.losses import cross_entropy, kl_divergence
from ppcds.methods.deep_supervision import DeepSupervision


def test_each_of_three_stages_has_a_classifier_with_the_same_weight(make_classifier, make_views, labels):
    method = DeepSupervision(make_classifier(), weight=0.5)
    method.eval()
    views = make_views(1)
    parts = {name: float(value) for name, value in method(views, labels).items()}
    last, *auxiliary = method.network(views[0])
    assert parts["cross_entropy"] == pytest.approx(float(cross_entropy(last, labels)), rel=1e-6)
    for stage, logits in zip((3, 2, 1), auxiliary):
        expected = 0.5 * float(cross_entropy(logits, labels))
        assert parts[f"cross_entropy_stage{stage}"] == pytest.approx(expected, rel=1e-6)
    assert parts.pop("loss") == pytest.approx(sum(parts.values()), rel=1e-6)
    assert set(parts) == {"cross_entropy", *(f"cross_entropy_stage{stage}" for stage in (1, 2, 3))}


def test_the_kl_term_pulls_auxiliary_classifiers_to_the_last_one_and_not_back(
    make_classifier, make_views, labels
):
    method = DeepSupervision(make_classifier(), kl_weight=2.0, temperature=4.0)
    method.eval()
    views = make_views(1)
    parts = method(views, labels)
    last, *auxiliary = method.network(views[0])
    for stage, logits in zip((3, 2, 1), auxiliary):
        expected = 2.0 * float(kl_divergence(logits, last, 4.0))
        assert float(parts[f"kl_stage{stage}"]) == pytest.approx(expected, rel=1e-5)
    parts["kl_stage3"].backward()
    reached = [n for n, p in method.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert "network.classifiers.2.fc.weight" in reached
    assert "network.backbone.layer3.0.conv1.weight" in reached
    later = (
        "network.backbone.layer4",
        "network.backbone.fc",
        "network.classifiers.0",
        "network.classifiers.1",
    )
    assert not [name for name in reached if name.startswith(later)]


def test_unlabelled_rows_take_part_in_the_kl_term_alone(make_classifier, make_views, labels):
    method = DeepSupervision(make_classifier(), kl_weight=1.0)
    method.eval()
    parts = method(make_views(1), paddle.full_like(labels, -1))
    values = {name: float(value) for name, value in parts.items()}
    assert [values[f"cross_entropy{stage}"] for stage in ("", "_stage1", "_stage2", "_stage3")] == [0] * 4
    assert values["kl_stage1"] == pytest.approx(float(method(make_views(1), labels)["kl_stage1"]), rel=1e-6)
