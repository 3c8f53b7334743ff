import numpy as np
import paddle
import pytest
from paddle import nn

from ppcds.models.running_statistics import hold_statistics, statistics_move


@pytest.fixture
def norm():
    paddle.seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1D(4))


ROWS = np.random.RandomState(0).randn(6, 3).astype("float32") * 3 + 1


def statistics(network):
    return np.concatenate([network[1]._mean.numpy(), network[1]._variance.numpy()])


def test_a_share_of_0_holds_them_to_the_bit_and_leaves_the_output_alone(norm):
    before, images = statistics(norm), paddle.to_tensor(ROWS)
    with statistics_move(norm, 0):
        held = norm(images).numpy()
    assert statistics(norm).tobytes() == before.tobytes()
    np.testing.assert_array_equal(norm(images).numpy(), held)
    assert not np.allclose(statistics(norm), before)


def test_k_passes_of_a_share_of_1_in_k_move_them_as_one_pass(norm):
    before, images = statistics(norm), paddle.to_tensor(ROWS)
    norm(images)
    once = statistics(norm)
    norm[1]._mean.set_value(before[:4])
    norm[1]._variance.set_value(before[4:])
    for _ in range(3):
        with statistics_move(norm, 1 / 3):
            norm(images)
    np.testing.assert_allclose(statistics(norm), once, rtol=1e-5)


def test_the_usual_way_comes_back_after_an_error_and_held_ones_stay_held(norm):
    with pytest.raises(ZeroDivisionError), statistics_move(norm, 0):
        raise ZeroDivisionError
    assert norm[1]._momentum == 0.9
    hold_statistics(norm)
    before = statistics(norm)
    with statistics_move(norm, 1 / 3):
        norm(paddle.to_tensor(ROWS))
    assert statistics(norm).tobytes() == before.tobytes()
