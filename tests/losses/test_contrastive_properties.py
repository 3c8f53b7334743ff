"""What holds for contrastive losses of any shape, labels and temperature, in double precision."""

from __future__ import annotations

import math

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ppcds.losses import SupConLoss, chance_level, info_nce_loss, lowest_level, nt_xent_loss, supcon_loss

drawn = settings(max_examples=20, deadline=None, derandomize=True, database=None)

TEMPERATURES = st.sampled_from([0.05, 0.1, 0.5, 1.0, 4.0])
SIZES = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)
PAIR_LOSSES = {
    "all": lambda a, b, t: nt_xent_loss([a, b], t),
    "cross": lambda a, b, t: nt_xent_loss([a, b], t, "cross"),
    "supcon": lambda a, b, t: supcon_loss([a, b], paddle.arange(len(a)) % 2, t),
    "moco": lambda a, b, t: info_nce_loss(a, b, paddle.concat([a, -b]).detach(), t),
}
pair_losses = pytest.mark.parametrize("name", PAIR_LOSSES)


@st.composite
def stacked(draw, num_views, least_images=1):
    """Views [V, N, D] of quarters from -1 to 1: equal, opposite, zero and parallel rows among them."""
    shape = (draw(num_views), draw(st.integers(least_images, 5)), draw(st.integers(1, 4)))
    return draw(arrays(np.int64, shape, elements=st.integers(-4, 4))) / 4


@st.composite
def labelled_views(draw):
    """(views [V, N, D], labels [N]), of at least two rows; -1 among the labels."""
    views = draw(stacked(st.integers(1, 3)).filter(lambda views: views.shape[0] * views.shape[1] > 1))
    count = views.shape[1]
    return views, np.array(draw(st.lists(st.integers(-1, 2), min_size=count, max_size=count)))


def unit(row):
    length = math.sqrt(sum(row**2))
    return row / length if length else row


def loop(anchors, candidates, positives, temperature):
    """Mean over anchors of the mean over their positives of -log softmax, anchor by anchor.

    candidates, positives: of each anchor a list of rows; an anchor without a positive does not count.
    """
    losses = []
    for anchor, others, same in zip(anchors, candidates, positives):
        total = sum(math.exp(np.dot(unit(anchor), unit(other)) / temperature) for other in others)
        logs = [np.dot(unit(anchor), unit(row)) / temperature - math.log(total) for row in same]
        if logs:
            losses.append(-np.mean(logs))
    return np.mean(losses) if losses else 0.0


def tensors(views):
    return [paddle.to_tensor(view) for view in views]


def random_views(seed, num_images, dim):
    """Two views [N, D] of unit rows, of which the first is trained."""
    views = np.random.default_rng(seed).standard_normal((2, num_images, dim))
    views /= np.linalg.norm(views, axis=2, keepdims=True)
    return paddle.to_tensor(views[0], stop_gradient=False), paddle.to_tensor(views[1])


def gradient_of(loss, view):
    loss.backward()
    return view.grad.numpy()


@drawn
@given(given_views=labelled_views(), temperature=TEMPERATURES)
def test_supcon_equals_the_loop_over_its_anchors(given_views, temperature):
    views, labels = given_views
    index = [(v, i) for v in range(len(views)) for i in range(len(labels))]
    others = [[o for o in index if o != anchor] for anchor in index]
    same = [
        [(w, j) for w, j in rest if i == j or labels[i] == labels[j] >= 0]
        for (_, i), rest in zip(index, others)
    ]
    rows = [[views[place] for place in places] for places in others]
    expected = loop([views[p] for p in index], rows, [[views[p] for p in row] for row in same], temperature)
    ours = supcon_loss(tensors(views), paddle.to_tensor(labels), temperature)
    assert float(ours) == pytest.approx(expected, rel=1e-8, abs=1e-12)


@drawn
@given(views=stacked(st.just(2)), queue=stacked(st.just(1)), temperature=TEMPERATURES)
def test_losses_of_two_views_equal_the_loop_over_their_anchors(views, queue, temperature):
    first, second = views
    rows, count = [*first, *second], len(first)
    others = [rows[:i] + rows[i + 1 :] for i in range(2 * count)]
    partners = [[row] for row in [*second, *first]]
    across = [list(second)] * count + [list(first)] * count
    expected = {
        "all": loop(rows, others, partners, temperature),
        "cross": loop(rows, across, partners, temperature),
    }
    for negatives, value in expected.items():
        ours = float(nt_xent_loss(tensors(views), temperature, negatives))
        assert ours == pytest.approx(value, rel=1e-8, abs=1e-12)
    width = first.shape[1]
    queue = np.resize(queue[0], (len(queue[0]), width))
    with_key = [[key, *queue] for key in second]
    expected = loop(first, with_key, [[key] for key in second], temperature)
    ours = info_nce_loss(*tensors([first, second, queue]), temperature=temperature)
    assert float(ours) == pytest.approx(expected, rel=1e-8, abs=1e-12)


@drawn
@given(given_views=labelled_views(), seed=SEEDS, temperature=TEMPERATURES)
def test_supcon_sees_no_order_of_images_or_views_and_no_names_of_classes(given_views, seed, temperature):
    views, labels = given_views
    rng = np.random.default_rng(seed)
    expected = float(supcon_loss(tensors(views), paddle.to_tensor(labels), temperature))
    images, order = rng.permutation(len(labels)), rng.permutation(len(views))
    names = np.append(rng.permutation(1000)[:3], -1)  # the last one is that of label -1
    renamed = paddle.to_tensor(names[labels[images]])
    ours = supcon_loss(tensors(views[order][:, images]), renamed, temperature)
    assert float(ours) == pytest.approx(expected, rel=1e-8, abs=1e-12)


@drawn
@given(given_views=labelled_views(), temperature=TEMPERATURES)
def test_supcon_takes_an_unlabelled_image_for_a_class_of_its_own(given_views, temperature):
    views, labels = given_views
    alone = np.where(labels < 0, 100 + np.arange(len(labels)), labels)
    ours, expected = (
        float(supcon_loss(tensors(views), paddle.to_tensor(ids), temperature)) for ids in (labels, alone)
    )
    assert ours == pytest.approx(expected, rel=1e-12)
    none = supcon_loss(tensors(views), paddle.full([len(labels)], -1), temperature)
    assert float(none) == pytest.approx(float(supcon_loss(tensors(views), None, temperature)), rel=1e-12)


@drawn
@given(given_views=labelled_views(), temperature=TEMPERATURES, mode=st.sampled_from(["all", "one"]))
def test_supcons_mask_of_equal_labels_is_its_labels(given_views, temperature, mode):
    views, labels = given_views
    features = paddle.to_tensor(views.transpose(1, 0, 2))
    labels = np.abs(labels)
    mask = paddle.to_tensor((labels[:, None] == labels).astype("float32"))
    layer = SupConLoss(temperature, mode, temperature)
    expected = float(layer(features, paddle.to_tensor(labels)))
    assert float(layer(features, mask=mask)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@drawn
@given(given_views=labelled_views(), temperature=TEMPERATURES, scale=st.sampled_from([0.25, 2.0, 8.0]))
def test_supcons_temperature_is_a_length_of_the_features_and_its_base_a_factor(
    given_views, temperature, scale
):
    views, labels = given_views
    features, labels = paddle.to_tensor(views.transpose(1, 0, 2)), paddle.to_tensor(labels)
    expected = float(SupConLoss(temperature, base_temperature=temperature)(features, labels))
    hotter = temperature * scale**2
    ours = SupConLoss(hotter, base_temperature=hotter)(scale * features, labels)
    assert float(ours) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    ours = SupConLoss(temperature, base_temperature=scale)(features, labels)
    assert float(ours) == pytest.approx(expected * temperature / scale, rel=1e-9, abs=1e-12)


@pair_losses
@drawn
@given(seed=SEEDS, num_images=SIZES, dim=SIZES, temperature=TEMPERATURES)
def test_the_length_of_rows_does_not_matter_and_the_gradient_is_across_them(
    name, seed, num_images, dim, temperature
):
    first, second = random_views(seed, num_images, dim)
    lengths = paddle.to_tensor(np.random.default_rng(seed).uniform(0.1, 10, (num_images, 1)))
    loss = PAIR_LOSSES[name](first, second, temperature)
    gradient = gradient_of(loss, first)
    assert np.abs((gradient * first.numpy()).sum(axis=1)).max() < 1e-9 / temperature
    longer = (lengths * first).detach()
    longer.stop_gradient = False
    scaled = PAIR_LOSSES[name](longer, second / lengths, temperature)
    assert float(scaled) == pytest.approx(float(loss), rel=1e-8, abs=1e-12)
    ours = gradient_of(scaled, longer) * lengths.numpy()
    np.testing.assert_allclose(ours, gradient, rtol=1e-6, atol=1e-9 / temperature)


@pair_losses
@drawn
@given(seed=SEEDS, num_images=SIZES, dim=SIZES, temperature=TEMPERATURES)
def test_views_may_change_places_and_images_their_order_with_their_gradients(
    name, seed, num_images, dim, temperature
):
    first, second = random_views(seed, num_images, dim)
    loss = PAIR_LOSSES[name](first, second, temperature)
    if name != "moco":
        assert float(PAIR_LOSSES[name](second, first, temperature)) == pytest.approx(float(loss), rel=1e-8)
    if name == "supcon":  # whose labels here go by the row
        return
    order = np.random.default_rng(seed).permutation(num_images)
    index = paddle.to_tensor(order)
    mixed = first.detach()[index]
    mixed.stop_gradient = False
    ours = PAIR_LOSSES[name](mixed, second[index], temperature)
    assert float(ours) == pytest.approx(float(loss), rel=1e-8, abs=1e-12)
    expected = gradient_of(loss, first)[order]
    np.testing.assert_allclose(gradient_of(ours, mixed), expected, rtol=1e-6, atol=1e-9 / temperature)


@drawn
@given(views=stacked(st.just(2)), temperature=TEMPERATURES)
def test_losses_lie_between_their_lowest_level_and_its_mirror_image(views, temperature):
    count = len(views[0])
    moco = info_nce_loss(*tensors([*views, -views[0]]), temperature=temperature)
    for loss, candidates in (
        (nt_xent_loss(tensors(views), temperature), 2 * count - 1),
        (nt_xent_loss(tensors(views), temperature, "cross"), count),
        (moco, 1 + count),
        (supcon_loss(tensors(views), paddle.zeros([count], dtype="int64"), temperature), 2 * count - 1),
    ):
        highest = math.log1p((candidates - 1) * math.exp(2 / temperature))
        assert lowest_level(candidates, temperature) - 1e-9 <= float(loss) <= highest + 1e-9


@drawn
@given(views=stacked(st.just(2)))
def test_a_high_temperature_leaves_chance(views):
    count = len(views[0])
    assert float(nt_xent_loss(tensors(views), 1e6)) == pytest.approx(chance_level(2 * count - 1), abs=1e-5)
    assert float(nt_xent_loss(tensors(views), 1e6, "cross")) == pytest.approx(chance_level(count), abs=1e-5)
