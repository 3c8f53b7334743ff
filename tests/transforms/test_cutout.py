import numpy as np
import paddle
import pytest

from ppcds.transforms import Cutout


def holes_of(cutout, seed, shape=(3, 72, 128)):
    np.random.seed(seed)
    return cutout(np.ones(shape, np.float32)) == 0


def test_a_hole_is_a_square_in_all_channels_or_clipped_at_the_border():
    seen_whole = seen_clipped = False
    for seed in range(200):
        holes = holes_of(Cutout(1, 10), seed, (3, 30, 40))
        assert (holes == holes[0]).all()
        rows, columns = np.flatnonzero(holes[0].any(1)), np.flatnonzero(holes[0].any(0))
        assert holes[0].sum() == len(rows) * len(columns)  # a rectangle
        at_top_or_bottom, at_side = rows[0] == 0 or rows[-1] == 29, columns[0] == 0 or columns[-1] == 39
        assert len(rows) == 10 or (5 <= len(rows) < 10 and at_top_or_bottom)
        assert len(columns) == 10 or (5 <= len(columns) < 10 and at_side)
        seen_whole |= holes[0].sum() == 100
        seen_clipped |= holes[0].sum() < 100
    assert seen_whole and seen_clipped


def test_hole_centres_are_uniform_over_the_image():
    inside = np.mean([holes_of(Cutout(1, 1), seed, (1, 8, 8))[0] for seed in range(6400)], axis=0)
    assert inside.sum() == pytest.approx(1)  # one pixel each time
    assert abs(inside - 1 / 64).max() < 0.008  # five standard deviations of 6,400 draws


def test_an_odd_length_is_as_wide_as_it_says():
    assert max(holes_of(Cutout(1, 5), seed)[0].sum() for seed in range(20)) == 25


def test_more_holes_cover_more():
    one, three = (np.mean([holes_of(Cutout(n, 10), s).mean() for s in range(300)]) for n in (1, 3))
    assert 0.0085 < one < 0.0109  # 100 of 9,216 pixels, less what is clipped
    assert 2.6 * one < three < 3 * one


def test_array_and_tensor_get_the_same_holes_and_stay_as_they_were():
    array = np.random.RandomState(0).rand(3, 72, 128).astype(np.float32) + 1
    tensor = paddle.to_tensor(array)
    before = array.copy()
    np.random.seed(7)
    cut_array = Cutout(3, 10)(array)
    np.random.seed(7)
    cut_tensor = Cutout(3, 10)(tensor)
    assert isinstance(cut_array, np.ndarray) and isinstance(cut_tensor, paddle.Tensor)
    assert cut_tensor.dtype == tensor.dtype
    np.testing.assert_array_equal(cut_tensor.numpy(), cut_array)
    assert (cut_array == 0).any()
    np.testing.assert_array_equal(array, before)
    np.testing.assert_array_equal(tensor.numpy(), before)


@pytest.mark.parametrize(("n_holes", "length"), [(0, 10), (1, 0), (-1, 4)])
def test_no_holes_or_no_length_is_refused(n_holes, length):
    with pytest.raises(ValueError, match="at least 1"):
        Cutout(n_holes, length)
