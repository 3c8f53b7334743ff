import numpy as np
import pytest

from ppcds.transforms import GaussianBlur, RandomCrop, RandomGrayscale, ToArray, View
from ppcds.transforms.option_values import OPTIONS


@pytest.mark.parametrize(
    ("option", "right", "wrong"),
    [
        ("fill", [0, 255, 12.5, [0, 255, 3]], [-1, 255.5, 256, True, [0, 0], [0, 0, 256]]),
        ("size", [1, [1, 2], (3, 1)], [0, -1, 1.5, True, [1], [0, 1], [1, 2, 3]]),
        ("sigma", [[0.1, 2], [1, 1]], [[2, 1], [0, 1], [1], [1, 2, 3], 1, [True, 2]]),
        ("p", [0, 1, 0.5], [-0.1, 1.1, True, "1"]),
        ("n_holes", [0, 3], [-1, 1.0, True]),
        ("hue", [0, 0.5], [-0.1, True, None]),
        ("std", [[1, 0.1, 2]], [[0, 1, 1], [1, 1], 1]),
        ("mean", [[0, -1, 2]], [[0, 1], 0, [True, 0, 0]]),
    ],
)
def test_values_up_to_their_bounds_are_right_and_those_past_them_wrong(option, right, wrong):
    is_right, _ = OPTIONS[option]
    assert [is_right(value) for value in right] == [True] * len(right)
    assert [is_right(value) for value in wrong] == [False] * len(wrong)


def test_what_is_not_given_is_black_padding_and_simclrs_range_of_blur(image):
    padded = RandomCrop((74, 130), padding=1)(image)
    assert (padded[0] == 0).all() and (padded[:, 0] == 0).all()
    assert GaussianBlur(3).parameters(np.array([[0.0], [1.0]]), 1, 1).tolist() == [[0.1], [2.0]]


def test_a_view_is_shown_by_its_steps():
    assert repr(View([RandomGrayscale(), ToArray()])) == "View(RandomGrayscale, ToArray)"
