"""The surest errors, and what the network finds them like."""

import numpy as np

from ppcds.report.page.errors import confident_errors, describe_errors


def test_errors_come_by_how_sure_they_are_and_right_answers_are_none(make_answers):
    answers = make_answers([[0.6, 0.4], [0.1, 0.9], [0.2, 0.8], [0.99, 0.01]], [1, 0, 0, 0])
    assert confident_errors(answers).tolist() == [1, 2, 0]
    assert not len(confident_errors(make_answers([[0.9, 0.1]], [0])))


def test_an_error_is_told_with_both_probabilities_and_its_neighbours(make_answers):
    answers = make_answers([[0.1, 0.9], [0.7, 0.3], [0.2, 0.8]], [0, 0, 0], files=["x.jpg", "y.jpg", "z.jpg"])
    found = describe_errors(answers, count=1)
    assert [(error["file"], error["true"], error["predicted"]) for error in found] == [("x.jpg", "a", "b")]
    assert (found[0]["probability"], found[0]["probability_of_true"]) == (0.9, 0.1)
    near = found[0]["neighbours"]
    assert [one["file"] for one in near] == ["near 0.jpg", "near 1.jpg", "near 2.jpg"]
    assert all(one["alike"] and one["class"] == "a" and one["cosine"] == 0.9 for one in near)
    assert np.unique([one["picture"] for one in near]).size == 3


def test_neighbours_of_another_class_are_not_marked(make_answers):
    answers = make_answers([[0.1, 0.9], [0.1, 0.9]], [0, 1])
    (error,) = describe_errors(answers)
    assert [one["alike"] for one in error["neighbours"]] == [True, False, True]
