"""Is a network right as often as it is sure? Reliability diagram and expected calibration error."""

from __future__ import annotations

import numpy as np
import pandas as pd

BINS = 15  # Guo et al. 2017, table 1


def reliability_table(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """A row a bin of confidence: low, high, images, confidence and accuracy (means, NaN in an empty bin).

    probabilities: [N, C], rows that sum to 1; the largest of a row is its confidence.  labels: [N]; rows of
    -1 do not count.  Bin m of M holds confidences in ((m - 1) / M, m / M] (Guo et al. 2017,
    arXiv:1706.04599, section 2).
    """
    labelled = labels >= 0
    probabilities, labels = probabilities[labelled], labels[labelled]
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    number = np.searchsorted(edges[1:-1], confidence, side="left")
    images = np.bincount(number, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 of an empty bin
        means = {
            "confidence": np.bincount(number, confidence, bins) / images,
            "accuracy": np.bincount(number, right, bins) / images,
        }
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "images": images, **means})


def expected_calibration_error(table: pd.DataFrame) -> float:
    """ECE = sum over bins of (images of the bin / all images) * |accuracy - confidence| (Guo et al., eq. 3).

    table: of `reliability_table`.  0 is perfectly calibrated; the error depends on the number of bins.
    """
    gaps = (table["accuracy"] - table["confidence"]).abs().fillna(0)
    return float((table["images"] * gaps).sum() / table["images"].sum())
