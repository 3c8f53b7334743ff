"""Is one network better than another on the same images, or was it luck?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

RESAMPLES = 10_000


class PairedResult(NamedTuple):
    """Two networks on the same images.

    only_first, only_second: images that one of them alone has right.  difference: of the second's accuracy
    minus the first's, low and high its 95 % interval.  p_value: of McNemar's test, two-sided.
    """

    images: int
    only_first: int
    only_second: int
    difference: float
    low: float
    high: float
    p_value: float


def compare_paired(first: np.ndarray, second: np.ndarray, seed: int = 0) -> PairedResult:
    """Compare which images each network has right.  first, second: bool [N], paired by image.

    p: exact McNemar test (McNemar 1947): if the networks are equally good, the images that one alone has
    right fall to either like a coin, so p is binomial. Interval: percentiles of 10,000 bootstrap samples of
    images (Efron and Tibshirani 1993). Both speak of other images, not of other seeds of the training.
    Raises ValueError unless both are of the same images, one at least.
    """
    if first.shape != second.shape or not first.size:
        raise ValueError(f"paired answers to {first.shape} and {second.shape} images")
    images = len(first)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    unlike = only_first + only_second
    p_value = binomtest(only_first, unlike).pvalue if unlike else 1.0
    # images drawn with replacement differ by their kind alone, so the counts of the kinds are drawn
    kinds = np.array([only_first, only_second, images - unlike]) / images
    drawn = np.random.default_rng(seed).multinomial(images, kinds, size=RESAMPLES)
    low, high = np.percentile((drawn[:, 1] - drawn[:, 0]) / images, [2.5, 97.5])
    difference = (only_second - only_first) / images
    return PairedResult(images, only_first, only_second, difference, float(low), float(high), float(p_value))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values of several tests, adjusted so that all hold together (Holm 1979): in the order given."""
    order = np.argsort(p_values, kind="stable")
    count = len(order)
    adjusted = np.empty(count)
    scaled = np.asarray(p_values, float)[order] * (count - np.arange(count))
    adjusted[order] = np.maximum.accumulate(scaled).clip(max=1)
    return adjusted.tolist()
