"""The table and the picture of BYOL's experiment on tau."""

import numpy as np
import pandas as pd
import pytest

from ppcds.report.tau import PUBLISHED, draw_tau, tau_table, write_tau


@pytest.fixture
def table():
    def found(share):
        return {"knn_accuracy": share, "linear_probe": [{"accuracy": share + 0.1}], "effective_rank": 5}

    return tau_table({None: found(0.2), 1.0: found(0.3), 0.99: found(0.5), 0.5: found(0.4), 0.0: found(0.1)})


def test_a_row_has_both_accuracies_in_percent_beside_what_is_published(table):
    assert table["tau"].tolist() == ["untrained", "1", "0.99", "0.5", "0"]
    assert table["kNN (%)"].tolist() == pytest.approx([20, 30, 50, 40, 10])
    assert table["linear probe (%)"].tolist() == pytest.approx([30, 40, 60, 50, 20])
    published = table["published, ImageNet (%)"]
    assert published[[0, 1, 2, 4]].tolist() == [1.4, 18.8, 72.5, 0.3] and np.isnan(published[3])
    assert [PUBLISHED[tau] for tau in (1, 0.999, 0.99, 0.9, 0)] == [18.8, 69.8, 72.5, 68.4, 0.3]


def test_the_files_are_written_and_what_is_not_published_stays_empty(table, tmp_path):
    text = write_tau(tmp_path / "out", table)
    assert "| 0.5 | 40.0 | 50.0 |  | 5.0 |" in text
    assert (tmp_path / "out" / "byol_tau.md").read_text(encoding="utf-8") == text + "\n"
    assert pd.read_csv(tmp_path / "out" / "byol_tau.csv")["tau"].tolist()[0] == "untrained"
    assert (tmp_path / "out" / "byol_tau.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_has_a_bar_an_accuracy_and_names_every_tau(table):
    axes = draw_tau(table).axes[0]
    assert sorted(bar.get_height() for bar in axes.patches) == pytest.approx(
        sorted([20, 30, 50, 40, 10] + [30, 40, 60, 50, 20])
    )
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["untrained", "τ = 1", "τ = 0.99", "τ = 0.5", "τ = 0"]
    assert len(axes.get_legend().get_texts()) == 3 and "%" in axes.get_ylabel()
