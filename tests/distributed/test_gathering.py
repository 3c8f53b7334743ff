"""What is gathered: its order, its gradients and their scale, computed again by hand."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.distributed.fleet.utils import hybrid_parallel_util

from ppcds.distributed import average_gradients, gather, gather_batches, gather_rows, largest, merged

ROWS = np.arange(18, dtype="float32").reshape(6, 3) / 4 - 1


def own(rank, count=3):
    share = len(ROWS) // count
    return ROWS[rank * share : (rank + 1) * share]


def test_rows_of_all_ranks_come_in_the_order_of_the_ranks(ranks_of):
    found = ranks_of(3).run(lambda rank: gather_rows(paddle.to_tensor(own(rank))))
    for rows in found:
        np.testing.assert_array_equal(rows.numpy(), ROWS)
        assert rows.stop_gradient


def test_gradients_of_own_rows_are_those_of_the_whole_times_the_ranks(ranks_of):
    """Weights that differ from row to row would show the rows of another rank, or a wrong scale."""
    weights = paddle.to_tensor(np.linspace(1, 3, 18, dtype="float32").reshape(6, 3))

    def act(rank):
        rows = paddle.to_tensor(own(rank), stop_gradient=False)
        (gather_rows(rows * 2) ** 3 * weights).sum().backward()
        return rows.grad.numpy()

    whole = 3 * (2 * ROWS) ** 2 * 2 * weights.numpy()
    for rank, gradient in enumerate(ranks_of(3).run(act)):
        np.testing.assert_allclose(gradient, 3 * own_part(whole, rank), rtol=1e-6)


def own_part(array, rank):
    return array[2 * rank : 2 * rank + 2]


def test_the_mean_over_ranks_of_a_shared_weights_gradient_is_that_of_one_process(ranks_of):
    """What the factor is for: a loss of all rows, of a weight that every rank has."""

    def gradient(rows, gathered):
        weight = paddle.to_tensor(np.float32([[1, 2], [0, 1], [3, -1]]), stop_gradient=False)
        out = gathered(paddle.matmul(paddle.to_tensor(rows), weight))
        nn.functional.log_softmax(paddle.matmul(out, out, transpose_y=True)).mean().backward()
        return weight.grad.numpy()

    alone = gradient(ROWS, lambda rows: rows)
    of_ranks = ranks_of(3).run(lambda rank: gradient(own(rank), gather_rows))
    np.testing.assert_allclose(np.mean(of_ranks, axis=0), alone, rtol=1e-4, atol=1e-6)


def test_a_plain_gather_takes_what_is_not_contiguous_and_has_no_gradient(ranks_of):
    def act(rank):
        rows = paddle.to_tensor(own(rank), stop_gradient=False)
        return gather(rows.transpose([1, 0]))

    for tensors in ranks_of(3).run(act):
        assert all(tensor.stop_gradient for tensor in tensors)
        np.testing.assert_array_equal(np.concatenate([tensor.numpy().T for tensor in tensors]), ROWS)


def test_parts_of_batches_come_back_in_the_order_of_the_batches(ranks_of):
    """Ten rows in batches of 4, 4 and 2: each rank has two, two and one of them."""
    whole = np.arange(20.0).reshape(10, 2)
    batches = [whole[:4], whole[4:8], whole[8:]]

    def act(rank):
        parts = [np.split(batch, 2)[rank] for batch in batches]
        return gather_batches(np.concatenate(parts), [4, 4, 2])

    for found in ranks_of(2).run(act):
        np.testing.assert_array_equal(found, whole)


def test_the_largest_number_and_every_entry_are_known_to_all(ranks_of):
    ranks = ranks_of(3)
    assert ranks.run(lambda rank: largest([2, 7, 5][rank])) == [7, 7, 7]
    assert ranks.run(lambda rank: largest(-1 - rank)) == [-1, -1, -1]
    assert ranks.run(lambda rank: type(largest(rank))) == [int] * 3
    assert ranks.run(lambda rank: merged({f"of {rank}": rank})) == [{"of 0": 0, "of 1": 1, "of 2": 2}] * 3


@pytest.mark.parametrize(("count", "calls"), [(1, 0), (2, 2)])
def test_every_gradient_of_a_layer_is_averaged_once_where_there_are_several_ranks(
    ranks_of, monkeypatch, count, calls
):
    seen = []
    monkeypatch.setattr(hybrid_parallel_util, "fused_allreduce_gradients", lambda *given: seen.append(given))
    layer = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    if count == 1:
        average_gradients(layer)
    else:
        ranks_of(count).run(lambda rank: average_gradients(layer))
    assert len(seen) == calls
    for parameters, group in seen:
        assert [id(parameter) for parameter in parameters] == [id(p) for p in layer.parameters()]
        assert group is None


def test_one_process_gets_back_the_very_objects():
    rows, found = paddle.ones([2, 3]), {"a": 1}
    array = np.arange(6)
    assert gather_rows(rows) is rows and merged(found) is found and gather_batches(array, [4, 2]) is array
    assert largest(-3) == -3
