import numpy as np
import paddle
import pytest
from paddle import nn

from ppcds.methods.ema import copy_without_gradient, ema_update


def network(seed):
    paddle.seed(seed)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1D(4))
    net.register_buffer("center", paddle.randn([2]))
    for value in net.state_dict().values():  # running statistics too
        value.set_value(paddle.randn(value.shape))
    return net


def test_a_copy_is_equal_takes_no_gradient_and_shares_no_memory(arrays):
    online = network(0)
    target = copy_without_gradient(online)
    before = arrays(target)
    assert {name: value.tobytes() for name, value in before.items()} == {
        name: value.tobytes() for name, value in arrays(online).items()
    }
    assert all(parameter.stop_gradient for parameter in target.parameters())
    assert not online[0].weight.stop_gradient
    online[0].weight.set_value(online[0].weight + 1)
    np.testing.assert_array_equal(target[0].weight.numpy(), before["0.weight"])


@pytest.mark.parametrize("buffers", [True, False])
def test_the_update_is_the_weighted_mean_and_leaves_buffers_alone_where_asked(buffers, arrays):
    online, target = network(0), network(1)
    before = arrays(target)
    ema_update(target, online, 0.9, buffers)
    source, after = arrays(online), arrays(target)
    kept = [] if buffers else ["1._mean", "1._variance", "center"]
    for name in before:
        expected = before[name] if name in kept else 0.9 * before[name] + 0.1 * source[name]
        np.testing.assert_allclose(after[name], expected, rtol=1e-6, atol=1e-8)
        assert np.array_equal(after[name], before[name]) == (name in kept)


def test_tau_0_copies_every_bit_even_over_a_nan_and_tau_1_moves_none(arrays):
    online, target = network(0), network(1)
    online[0].bias.set_value(paddle.to_tensor([-0.0, 1.0, 2.0, 3.0]))
    target[0].weight.set_value(paddle.full([3, 4], float("nan")))
    ema_update(target, online, 0.0, buffers=True)
    expected = {name: value.tobytes() for name, value in arrays(online).items()}
    assert {name: value.tobytes() for name, value in arrays(target).items()} == expected

    online[0].weight.set_value(paddle.full([3, 4], float("inf")))
    ema_update(target, online, 1.0, buffers=True)
    assert {name: value.tobytes() for name, value in arrays(target).items()} == expected


def test_a_single_layer_whose_names_have_no_dot_is_averaged_too():
    online, target = nn.BatchNorm1D(2), nn.BatchNorm1D(2)
    online.weight.set_value(paddle.to_tensor([3.0, 5.0]))
    online._mean.set_value(paddle.to_tensor([8.0, 8.0]))
    ema_update(target, online, 0.5, buffers=False)
    assert target.weight.tolist() == [2.0, 3.0] and target._mean.tolist() == [0.0, 0.0]
