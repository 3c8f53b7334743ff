"""What one rank meets, all of them raise: none goes on, and none waits."""

import numpy as np
import pytest

from ppcds.distributed import (
    once_for_all,
    raise_together,
    rank,
    read_together,
    require_same,
    together,
)
from ppcds.errors import UserError


def said(found):
    return [(type(error), str(error)) for error in found]


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_a_mistake_that_one_rank_meets_is_raised_on_all_in_its_words(ranks_of, victim):
    own = UserError(f"table {victim}.csv line 3: no such image")
    found = ranks_of(3).run(lambda number: raise_together(own if number == victim else None))
    assert said(found) == [(UserError, f"table {victim}.csv line 3: no such image")] * 3
    assert found[victim] is own


def test_a_bug_of_one_rank_is_raised_there_and_named_on_the_others(ranks_of):
    own = KeyError("missing")
    found = ranks_of(2).run(lambda number: raise_together(own if number == 1 else None))
    assert found[1] is own
    assert said(found[:1]) == [(UserError, "rank 1 has ended: KeyError: 'missing'")]


def test_of_two_mistakes_each_rank_raises_its_own_and_the_others_the_first(ranks_of):
    found = ranks_of(3).run(lambda number: raise_together(UserError(f"of {number}") if number else None))
    assert [str(error) for error in found] == ["of 1", "of 1", "of 2"]


def test_ranks_that_have_met_nothing_go_on(ranks_of):
    assert ranks_of(2).run(lambda number: raise_together(None)) == [None, None]
    raise_together(None)


def test_what_ranks_do_together_is_returned_to_each_or_raised_on_all(ranks_of):
    ranks = ranks_of(2)
    assert ranks.run(lambda number: together(lambda: 10 + number)) == [10, 11]

    def broken():
        if rank() == 0:
            raise UserError("a.jpg is a truncated JPEG")
        return 3

    assert said(ranks.run(lambda number: together(broken))) == [(UserError, "a.jpg is a truncated JPEG")] * 2


def test_a_bug_in_what_ranks_do_together_is_not_taken_for_a_mistake():
    with pytest.raises(ZeroDivisionError):
        together(lambda: 1 // 0)


def test_batches_are_read_until_the_end_or_until_one_rank_meets_a_mistake(ranks_of):
    ranks = ranks_of(2)
    assert ranks.run(lambda number: list(read_together([number, None, 2]))) == [[0, None, 2], [1, None, 2]]
    read = [[], []]

    def batches(number):
        yield 1
        if number == 1:
            raise UserError("b.jpg is empty")
        yield 2

    def act(number):
        for batch in read_together(batches(number)):
            read[number].append(batch)

    assert said(ranks.run(act)) == [(UserError, "b.jpg is empty")] * 2
    assert read == [[1], [1]]


def test_the_first_rank_alone_does_what_is_done_once(ranks_of):
    done = []
    assert ranks_of(3).run(lambda number: once_for_all(lambda: done.append(rank()))) == [None] * 3
    assert done == [0]


def test_the_others_wait_for_what_is_done_once(ranks_of):
    order = []

    def act(number):
        once_for_all(lambda: order.append("done"))
        order.append("after")

    ranks_of(2).run(act)
    assert order == ["done", "after", "after"]


@pytest.mark.parametrize("error", [UserError("no room"), KeyError("missing")])
def test_an_error_of_what_is_done_once_ends_all(ranks_of, error):
    def broken():
        raise error

    found = ranks_of(2).run(lambda number: once_for_all(broken))
    assert found[0] is error and isinstance(found[1], UserError)
    named = "no room" if isinstance(error, UserError) else "rank 0 has ended: KeyError: 'missing'"
    assert str(found[1]) == named


@pytest.mark.parametrize(("digits", "other"), [("ffe", 2), ("fef", 1), ("fee", 1)])
def test_ranks_with_other_weights_are_told_and_which(ranks_of, digits, other):
    sums = [f"0{digit}" * 8 for digit in digits]
    ranks = ranks_of(3)
    assert ranks.run(lambda number: require_same("the weights", sums[0])) == [None] * 3
    expected = (
        f"the weights of rank {other} are not those of rank 0: do all of them read the same files, with the "
        "same versions of Paddle and NumPy?"
    )
    found = ranks.run(lambda number: require_same("the weights", sums[number]))
    assert said(found) == [(UserError, expected)] * 3


def test_checksums_that_differ_in_their_first_or_last_compared_digit_are_told_apart(ranks_of):
    """Fifteen hexadecimal digits fill what a collective can carry; more would not fit."""
    ranks, whole = ranks_of(2), "f" * 64
    for place in (0, 7, 14):
        other = whole[:place] + "0" + whole[place + 1 :]
        found = ranks.run(lambda number, other=other: require_same("the images", [whole, other][number]))
        assert all(isinstance(error, UserError) for error in found), place
    assert ranks.run(lambda number: require_same("the images", whole)) == [None, None]


def test_one_process_agrees_with_itself():
    require_same("anything", "no number at all")
    assert list(read_together(iter([1, 2]))) == [1, 2]
    assert together(lambda: 3) == 3
    for error in (UserError("broken"), KeyError("missing")):
        with pytest.raises(type(error)) as caught:
            raise_together(error)
        assert caught.value is error
    with pytest.raises(KeyError):
        once_for_all(lambda: {}["missing"])
    done = np.zeros(1)
    once_for_all(lambda: np.add(done, 1, out=done))
    assert done == 1
