import math

import numpy as np
import paddle
import pytest

from ppcds.losses import info_nce_loss, nt_xent_loss
from ppcds.losses.embeddings import unit_rows
from ppcds.methods.moco import MoCo


def keys_of(method, view):
    """What the key encoder makes of a view in training mode, without leaving a trace in it."""
    state = {name: value.clone() for name, value in method.key_encoder.state_dict().items()}
    keys = unit_rows(method.key_encoder.project(view)[1]).numpy()
    method.key_encoder.set_state_dict(state)
    return keys


def test_the_queue_starts_with_random_directions_of_the_seed(make_encoder):
    queues = [MoCo(make_encoder(seed), queue_size=50).queue.numpy() for seed in (0, 0, 1)]
    np.testing.assert_allclose(np.linalg.norm(queues[0], axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(queues[0], queues[1])
    assert not np.array_equal(queues[0], queues[2])


def test_two_steps_put_their_keys_into_the_queue_and_around_its_end(make_encoder, make_views, labels):
    method = MoCo(make_encoder(), queue_size=12)
    method.train()
    expected, oldest = method.queue.numpy().copy(), 0
    for step in range(2):
        views = make_views(2, seed=step)
        keys = keys_of(method, views[1])
        method(views, labels)
        np.testing.assert_array_equal(method.queue.numpy(), expected)  # not before the step is done
        method.after_step()
        for key in keys:
            expected[oldest] = key
            oldest = (oldest + 1) % 12
    np.testing.assert_allclose(method.queue.numpy(), expected, rtol=1e-6, atol=1e-7)
    assert method.oldest.item() == oldest == 4


def test_a_batch_larger_than_the_queue_leaves_its_last_keys(make_encoder, make_views, labels):
    method = MoCo(make_encoder(), queue_size=5)
    method.train()
    views = make_views(2)
    keys = keys_of(method, views[1])
    method(views, labels)
    method.after_step()
    np.testing.assert_allclose(method.queue.numpy(), keys[-5:], rtol=1e-6, atol=1e-7)


def test_the_loss_compares_view_1_with_keys_of_view_2_and_the_queue(make_encoder, make_views, labels):
    method = MoCo(make_encoder(), temperature=0.3, queue_size=24)
    method.train()
    first, second = make_views(2)
    keys, queue = keys_of(method, second), method.queue.clone()
    loss = float(method([first, second], labels)["info_nce"])
    encoder = make_encoder()  # the same first weights
    encoder.train()
    queries = encoder.project(first)[1]
    expected = info_nce_loss(queries, paddle.to_tensor(keys), queue, 0.3)
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert method.noted["info_nce_chance"] == pytest.approx(math.log(25))
    unit = unit_rows(queries).numpy()
    hits = (unit * keys).sum(1) > (unit @ queue.numpy().T).max(1)
    assert float(method.noted["contrastive_accuracy"]) == pytest.approx(hits.mean())


def test_the_key_encoder_follows_by_its_momentum_but_keeps_its_own_running_statistics(
    make_encoder, make_views, labels, arrays
):
    method = MoCo(make_encoder(), queue_size=24, momentum=0.75)
    optimizer = paddle.optimizer.SGD(0.1, parameters=method.parameters())
    method.train()
    method(make_views(2), labels)["loss"].backward()
    optimizer.step()
    before, online = arrays(method.key_encoder), arrays(method.encoder)
    method.after_step()
    for name, value in arrays(method.key_encoder).items():
        if name.endswith(("_mean", "_variance")):
            np.testing.assert_array_equal(value, before[name])
            assert not np.array_equal(value, online[name])  # of view 2, not of view 1
        else:
            expected = 0.75 * before[name] + 0.25 * online[name]
            np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-7)


def test_thirty_steps_tell_eight_images_apart(make_encoder, make_views, labels):
    # Among the keys of the batch: the queue holds each of so few images twice, and the loss cannot fall far.
    method = MoCo(make_encoder(), queue_size=16, momentum=0.9)
    optimizer = paddle.optimizer.Momentum(0.05, 0.9, parameters=method.parameters())
    method.train()
    views, contrasts = make_views(2), []
    for step in range(31):
        if step in (0, 30):
            pair = [method.encoder.project(views[0])[1], method.key_encoder.project(views[1])[1]]
            contrasts.append(float(nt_xent_loss(pair, 0.2, negatives="cross")))
        method(views, labels)["loss"].backward()
        optimizer.step()
        optimizer.clear_grad()
        method.after_step()
    assert contrasts[1] < 0.5 * contrasts[0]
