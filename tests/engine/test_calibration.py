"""Reliability tables and ECE against sums by hand."""

import numpy as np
import pytest

from ppcds.engine.calibration import expected_calibration_error, reliability_table


def two_classes(confidences):
    """Probabilities [N, 2] whose largest is the confidence, of class 0."""
    confidences = np.asarray(confidences)
    return np.stack([confidences, 1 - confidences], axis=1)


def test_error_is_the_mean_gap_weighted_by_images():
    # four images at 0.9, three right: gap 0.15; one at 0.6, wrong: gap 0.6
    probabilities = two_classes([0.9, 0.9, 0.9, 0.9, 0.6])
    table = reliability_table(probabilities, np.array([0, 0, 0, 1, 1]))
    assert expected_calibration_error(table) == pytest.approx((4 * 0.15 + 1 * 0.6) / 5)


def test_gaps_of_both_signs_do_not_cancel():
    probabilities = two_classes([0.55, 0.55, 0.95, 0.95])
    table = reliability_table(probabilities, np.array([0, 0, 0, 1]))
    assert expected_calibration_error(table) == pytest.approx((2 * 0.45 + 2 * 0.45) / 4)


def test_a_network_as_right_as_sure_has_no_error():
    probabilities = two_classes([0.75] * 4)
    assert expected_calibration_error(reliability_table(probabilities, np.array([0, 0, 0, 1]))) < 1e-12


def test_bins_are_of_equal_width_and_closed_above():
    table = reliability_table(two_classes([0.5, 0.6, 0.8, 1.0]), np.zeros(4, int), bins=5)
    assert table["images"].tolist() == [0, 0, 2, 1, 1]  # 0.6 lies in (0.4, 0.6]
    assert table["low"].tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert table["confidence"][2] == pytest.approx(0.55) and np.isnan(table["accuracy"][0])
    assert len(reliability_table(two_classes([0.5]), np.zeros(1, int))) == 15


def test_unlabelled_images_do_not_count():
    table = reliability_table(two_classes([0.9, 0.9]), np.array([0, -1]))
    assert table["images"].sum() == 1
