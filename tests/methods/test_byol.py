import numpy as np
import paddle
import pytest

from ppcds.losses import byol_loss
from ppcds.methods.byol import BYOL


def one_step(method, views, labels):
    """Up to the optimiser's step; after_step is left to the test."""
    optimizer = paddle.optimizer.SGD(0.1, parameters=method.parameters())
    method.train()
    method(views, labels)["loss"].backward()
    optimizer.step()
    optimizer.clear_grad()


def same_bits(first, second):
    return all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_the_target_starts_equal_and_moves_only_after_the_step(make_encoder, make_views, labels, arrays):
    method = BYOL(make_encoder(), predictor_width=32, tau=0.75)
    start = arrays(method.target)
    assert same_bits(start, arrays(method.encoder))
    one_step(method, make_views(2), labels)
    assert same_bits(start, arrays(method.target))  # running statistics too, although it ran in training mode
    online = arrays(method.encoder)
    assert not any(
        np.array_equal(start[name], online[name]) for name in ("backbone.bn1._mean", "backbone.conv1.weight")
    )
    method.after_step()
    for name, value in arrays(method.target).items():
        np.testing.assert_allclose(value, 0.75 * start[name] + 0.25 * online[name], rtol=1e-5, atol=1e-7)


def test_tau_1_never_moves_the_target_and_declares_it_frozen(make_encoder, make_views, labels, arrays):
    method = BYOL(make_encoder(), predictor_width=32, tau=1.0)
    start = arrays(method.target)
    for _ in range(3):
        one_step(method, make_views(2), labels)
        method.after_step()
    assert same_bits(start, arrays(method.target))
    assert method.frozen() == {"target": method.target}
    assert BYOL(make_encoder(), predictor_width=32).frozen() == {}


def test_tau_0_makes_the_target_a_copy_to_the_bit(make_encoder, make_views, labels, arrays):
    method = BYOL(make_encoder(), predictor_width=32, tau=0.0)
    for _ in range(3):
        one_step(method, make_views(2), labels)
        assert not same_bits(arrays(method.encoder), arrays(method.target))
        method.after_step()
        assert same_bits(arrays(method.encoder), arrays(method.target))


def test_the_cosine_schedule_raises_tau_to_1(make_encoder, make_views, labels):
    method = BYOL(make_encoder(), predictor_width=32, tau=0.96, tau_schedule="cosine")
    found = {}
    for method.progress in (0.0, 0.25, 0.5, 1.0):
        method(make_views(2), labels)
        found[method.progress] = method.noted["tau"]
    # 1 - 0.04 (cos(pi progress) + 1) / 2
    assert found == pytest.approx({0.0: 0.96, 0.25: 0.965857864, 0.5: 0.98, 1.0: 1.0}, abs=1e-9)


def test_the_target_normalises_by_its_batch_as_the_online_network_does(make_encoder, make_views):
    method = BYOL(make_encoder(), predictor_width=32)
    method.train()
    (view,) = make_views(1)
    online, target = (net.project(view)[1].numpy() for net in (method.encoder, method.target))
    np.testing.assert_array_equal(online, target)


def test_the_loss_is_the_sum_of_both_directions(make_encoder, make_views, labels):
    method = BYOL(make_encoder(), predictor_width=32)
    method.eval()
    views = make_views(2)
    total = float(method(views, labels)["byol"])
    projections = [method.encoder.project(view)[1] for view in views]  # the target's too, at the start
    directions = [byol_loss(method.predictor(projections[i]), projections[1 - i]) for i in (0, 1)]
    assert total == pytest.approx(sum(float(direction) for direction in directions), rel=1e-6)
    assert float(method(views[::-1], labels)["byol"]) == pytest.approx(total, rel=1e-6)
