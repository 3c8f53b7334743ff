import numpy as np

from ppcds.transforms.grid import view_grid

FRAME = 2  # rows and columns of white that each picture has, one on either side


def examples(count, num_views=2, size=(3, 4)):
    rng = np.random.default_rng(0)
    return [[rng.normal(size=(3, *size)) for _ in range(num_views)] for _ in range(count)]


def picture(view):
    """Stretched to its full range, in its frame: [H + 2, W + 2, 3]."""
    stretched = 255 * (view - view.min()) / (view.max() - view.min())
    framed = np.full((view.shape[1] + FRAME, view.shape[2] + FRAME, 3), 255.0)
    framed[1:-1, 1:-1] = stretched.transpose(1, 2, 0)
    return framed.round().astype(np.uint8)


def test_rows_hold_examples_and_below_them_their_other_views():
    given = examples(4)
    grid = view_grid(given, columns=2)
    assert grid.shape == (2 * 2 * 5, 2 * 6, 3) and grid.dtype == np.uint8
    for number, views in enumerate(given):
        for which, view in enumerate(views):
            row, column = 2 * (number // 2) + which, number % 2
            found = grid[5 * row : 5 * row + 5, 6 * column : 6 * column + 6]
            np.testing.assert_array_equal(found, picture(view))


def test_a_row_that_is_not_whole_is_left_out_and_fewer_examples_are_one_row():
    given = examples(9)
    np.testing.assert_array_equal(view_grid(given), view_grid(given[:8]))
    assert view_grid(given[:8]).shape == (2 * 5, 8 * 6, 3)
    np.testing.assert_array_equal(view_grid(given[:3], columns=5), view_grid(given[:3], columns=3))
    assert view_grid(given[:3], columns=5).shape == (2 * 5, 3 * 6, 3)


def test_a_view_of_one_level_is_black_in_its_frame():
    grid = view_grid([[np.full((3, 2, 2), 0.7)]])
    assert (grid[1:3, 1:3] == 0).all() and (grid == 255).sum() == 12 * 3
    faint = np.zeros((3, 2, 2))
    faint[0, 0, 0] = 1e-7  # a tenth of the least range that is stretched
    assert view_grid([[faint]])[1, 1, 0] == 26
