"""Groups by name, and splits that part none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppcds.datasets.groups import group_disjoint_folds, groups_of, rows_of_other_groups
from ppcds.errors import UserError


def test_numbered_names_lose_the_digits_at_their_end_and_keep_their_folder():
    names = ["Soccer/fifa0012.jpg", "Soccer/fifa7.jpg", "Tennis/fifa1.jpg", "a2b3.png", "Golf/0001.jpg"]
    assert groups_of(names, "numbered").tolist() == [
        "Soccer/fifa",
        "Soccer/fifa",
        "Tennis/fifa",
        "a2b",
        "Golf/#",
    ]


def test_a_title_that_ends_in_digits_is_kept_together_with_its_sequels():
    names = ["Soccer/fifa200001.jpg", "Soccer/fifa210001.jpg", "Soccer/pes0001.jpg"]
    assert groups_of(names, "numbered").tolist() == ["Soccer/fifa", "Soccer/fifa", "Soccer/pes"]


def test_a_pattern_gives_its_first_group_or_all_that_it_finds():
    names = ["day1/cam3_0001.jpg", "day2/cam3_0002.jpg"]
    assert groups_of(names, r"day\d+").tolist() == ["day1", "day2"]
    assert groups_of(names, r"(cam\d+)_(\d+)").tolist() == ["cam3", "cam3"]


def test_patterns_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="is no regular expression"):
        groups_of(["a.jpg"], "(")
    with pytest.raises(UserError, match="finds no group in 1 of 2 names, the first is 'b.jpg'"):
        groups_of(["day1.jpg", "b.jpg"], r"day\d")
    with pytest.raises(UserError, match="finds no group in 1 of 1"):  # an empty group is none
        groups_of(["a.jpg"], r"(\d*)\.jpg")


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31 - 1), st.integers(2, 4), st.integers(2, 3))
def test_every_labelled_row_is_held_once_and_no_group_is_parted(seed, classes, folds):
    random = np.random.RandomState(seed)
    groups = random.randint(0, classes * 4, 60)
    labels = np.where(random.rand(60) < 0.1, -1, groups % classes)
    for label in range(classes):  # each class in as many groups as there are folds
        first = len(labels) + np.arange(folds)
        groups = np.append(groups, 100 * (label + 1) + first)
        labels = np.append(labels, np.full(folds, label))
    groups = np.array([f"g{group}" for group in groups], dtype=object)
    held = group_disjoint_folds(labels, groups, folds, seed)
    assert sorted(np.concatenate(held).tolist()) == np.flatnonzero(labels >= 0).tolist()
    for rows in held:
        kept = rows_of_other_groups(groups, rows)
        assert not set(groups[kept]) & set(groups[rows])
        assert set(range(len(labels))) - set(kept) - set(rows) <= set(
            np.flatnonzero((labels < 0) & np.isin(groups.astype(str), groups[rows].astype(str)))
        )


def test_a_class_of_fewer_groups_than_folds_is_refused():
    labels, groups = np.array([0, 0, 1, 1]), np.array(["a", "b", "c", "c"], dtype=object)
    with pytest.raises(UserError, match=r"a class has 1 group\(s\) \(c\), which cannot be in 2 folds"):
        group_disjoint_folds(labels, groups, 2, seed=0)
