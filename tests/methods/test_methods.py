"""What holds for every method, and what each one computes."""

import numpy as np
import paddle
import pytest

from ppcds.config import load_recipe
from ppcds.losses import cross_entropy, supcon_loss
from ppcds.methods import METHODS, build_method
from ppcds.runtime import seed_step


def make(name, *options):
    seed_step(0)
    overrides = [f"method.name={name}", "model.width=4", *(f"method.{option}" for option in options)]
    return build_method(load_recipe("demo", overrides), 10)


def batch(method, rows=8, size=32):
    random = np.random.RandomState(0)
    views = [
        paddle.to_tensor(random.randn(rows, 3, size, size).astype("float32"))
        for _ in range(method.views_used)
    ]
    return views, paddle.to_tensor(np.arange(rows) % 4)


VARIANTS = [(name,) for name in METHODS] + [("supervised", "views=2"), ("cds", "contrast=simclr")]


@pytest.mark.parametrize("variant", VARIANTS, ids=" ".join)
def test_named_parts_sum_to_the_loss(variant):
    method = make(*variant)
    parts = {name: float(value) for name, value in method(*batch(method)).items()}
    total = parts.pop("loss")
    assert total == pytest.approx(sum(parts.values()), rel=1e-6)
    assert all(value > 0 for value in parts.values())


@pytest.mark.parametrize("variant", VARIANTS, ids=" ".join)
def test_every_trained_weight_gets_a_gradient(variant):
    method = make(*variant)
    method(*batch(method))["loss"].backward()
    silent = [n for n, p in method.named_parameters() if not p.stop_gradient and p.grad is None]
    assert silent == []


@pytest.mark.parametrize("variant", VARIANTS, ids=" ".join)
def test_the_deployed_network_gives_the_logits_of_the_method_and_has_no_training_heads(variant):
    method = make(*variant)
    method.eval()
    views, _ = batch(method)
    network = method.deployed()
    logits = network(views[0])
    assert logits.shape == [8, 10]
    if hasattr(method, "network"):
        np.testing.assert_array_equal(logits.numpy(), method.network(views[0], False).numpy())
    assert not [name for name in network.state_dict() if "head" in name]


@pytest.mark.parametrize("variant", VARIANTS, ids=" ".join)
def test_thirty_steps_overfit_eight_images(variant):
    method = make(*variant)
    views, labels = batch(method)
    optimizer = paddle.optimizer.Momentum(0.05, 0.9, parameters=method.parameters())
    method.train()
    for _ in range(30):
        method(views, labels)["loss"].backward()
        optimizer.step()
        optimizer.clear_grad()
        method.after_step()
    assert float(method(views, labels)["cross_entropy"]) < 0.1


def test_cds_is_cross_entropy_of_view_1_and_a_weighted_contrast_at_each_stage():
    method = make("cds", "weight=0.25", "temperature=0.1")
    views, labels = batch(method)
    parts = method(views, labels)
    method_again = make("cds")  # the same first weights
    logits, embeddings = method_again.network(paddle.concat(views))
    assert float(parts["cross_entropy"]) == pytest.approx(float(cross_entropy(logits[:8], labels)), rel=1e-6)
    for stage, embedding in zip((4, 3, 2, 1), embeddings):
        expected = 0.25 * supcon_loss([embedding[:8], embedding[8:]], labels, 0.1)
        assert float(parts[f"contrastive_stage{stage}"]) == pytest.approx(float(expected), rel=1e-6)


def test_cds_simclr_does_not_look_at_labels_in_its_contrast():
    method = make("cds", "contrast=simclr")
    views, labels = batch(method)
    method.eval()  # no running statistics in between
    first, second = (method(views, some) for some in (labels, paddle.flip(labels, [0])))
    assert float(first["contrastive_stage1"]) == float(second["contrastive_stage1"])
    assert float(first["cross_entropy"]) != float(second["cross_entropy"])


def test_two_supervised_views_are_the_mean_of_each():
    method = make("supervised", "views=2")
    views, labels = batch(method)
    method.eval()
    both = float(method(views, labels)["loss"])
    alone = [float(method([view], labels)["loss"]) for view in views]
    assert both == pytest.approx(sum(alone) / 2, rel=1e-5)


def test_softmax_twice_cannot_fall_below_its_floor():
    method = make("supervised", "softmax_twice=true")
    views, labels = batch(method)
    assert float(method(views, labels)["loss"]) > 1.461
