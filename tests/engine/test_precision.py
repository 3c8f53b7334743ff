"""Mixed precision. A processor has none, so what is tested of the scale is its arithmetic."""

import numpy as np
import paddle
import pytest

from ppcds.engine.lars import Lars
from ppcds.engine.precision import Precision
from ppcds.errors import UserError


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_a_processor_is_refused_in_words(amp):
    with pytest.raises(UserError, match=f"run.amp: {amp} needs a GPU"):
        Precision(amp)


def test_without_it_nothing_is_cast_scaled_or_remembered():
    plain = Precision(None)
    loss = paddle.ones([1])
    assert plain.scaled(loss) is loss and plain.state() == {}
    with plain.autocast():
        assert paddle.matmul(paddle.ones([2, 2]), paddle.ones([2, 2])).dtype == paddle.float32


OPTIMIZERS = {
    "momentum": lambda weights: paddle.optimizer.Momentum(0.1, parameters=weights, weight_decay=0.1),
    "adam": lambda weights: paddle.optimizer.Adam(0.1, parameters=weights, weight_decay=0.1),
    "lars": lambda weights: Lars(0.1, 0.9, 0.1, weights),
}


def weight_after_steps(fp16, make_optimizer, scale=None, steps=2):
    weight = paddle.create_parameter([2, 2], "float32")
    weight.set_value(paddle.to_tensor([[1.0, 2.0], [3.0, 4.0]]))
    optimizer = make_optimizer([weight])
    if scale:
        fp16.restore({"scale": scale, "incr_count": 0, "decr_count": 0})
    for _ in range(steps):
        fp16.scaled(paddle.square(weight).sum()).backward()
        fp16.move(optimizer)
        optimizer.clear_grad()
    return weight.numpy()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_do_not_depend_on_the_scale(scaler_anywhere, optimizer):
    expected = weight_after_steps(Precision(None), OPTIMIZERS[optimizer])
    for scale in (1024.0, 65536.0):
        found = weight_after_steps(Precision("fp16"), OPTIMIZERS[optimizer], scale)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_overflow_leaves_the_weights_and_halves_the_scale(scaler_anywhere, optimizer):
    fp16 = Precision("fp16")
    found = weight_after_steps(fp16, OPTIMIZERS[optimizer], scale=2.0**127, steps=1)
    np.testing.assert_array_equal(found, [[1, 2], [3, 4]])
    assert fp16.scale() == 2.0**126


def test_a_scale_below_1_ends_the_run_in_words(scaler_anywhere):
    fp16 = Precision("fp16")
    fp16.restore({"scale": 1.0, "incr_count": 0, "decr_count": 0})
    weight = paddle.create_parameter([1], "float32")
    fp16.scaled(weight.sum() * float("inf")).backward()
    with pytest.raises(UserError, match="run.amp: gradients overflow fp16"):
        fp16.move(paddle.optimizer.SGD(0.1, parameters=[weight]))


def test_the_scale_goes_on_exactly_from_its_state(scaler_anywhere):
    whole, first, second = (Precision("fp16") for _ in range(3))
    for fp16 in (whole, first, second):
        fp16.scaler.set_incr_every_n_steps(3)
    weight_after_steps(whole, OPTIMIZERS["momentum"], 1024.0, steps=5)
    weight_after_steps(first, OPTIMIZERS["momentum"], 1024.0, steps=2)
    second.restore(first.state())
    weight_after_steps(second, OPTIMIZERS["momentum"], steps=3)
    assert whole.state() == second.state() == {"scale": 2048.0, "incr_count": 2, "decr_count": 0}
