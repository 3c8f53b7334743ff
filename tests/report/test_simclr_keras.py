"""The table and the picture of the Keras example's three runs."""

import numpy as np
import pandas as pd
import pytest

from ppcds.report.run_result import RunResult
from ppcds.report.simclr_keras import draw_simclr_keras, simclr_keras_table, write_simclr_keras


@pytest.fixture
def results():
    def result(accuracies, losses):
        curve = {"epoch": [1, 2, 3], "images_seen": [100, 200, 30000]}
        curve.update(eval_accuracy=accuracies, eval_loss=losses)
        return RunResult(
            pd.DataFrame(curve),
            seconds=1.0,
            parameters=1234,
            evaluated_on="val",
            measured_by="its classifier",
        )

    return {
        "baseline": result([0.3, 0.52, 0.5], [2.0, 1.5, 1.4]),
        "pretrain": result([0.2, 0.3, 0.4], [2.2, 2.1, 2.0]),
        "finetune": result([0.5, 0.6, 0.61], [1.4, 1.2, 1.3]),
    }


def test_a_row_has_the_last_and_the_best_epoch_beside_what_is_published(results):
    table = simclr_keras_table(results).set_index("run")
    assert list(table.index) == ["supervised baseline", "pretraining, online probe", "fine-tuning"]
    assert table["last epoch (%)"].tolist() == pytest.approx([50, 40, 61])
    assert table["best epoch (%)"].tolist() == pytest.approx([52, 40, 61])
    assert table["published, best (%)"].tolist() == [59.90, 56.65, 65.32]
    assert set(table["parameters"]) == {1234} and set(table["images seen"]) == {30000}


def test_the_files_are_written_and_say_the_same(results, tmp_path):
    text = write_simclr_keras(tmp_path / "out", results)
    assert "| supervised baseline | 50.00 | 52.00 | 59.90 | 1,234 | 30,000 |" in text
    assert (tmp_path / "out" / "simclr_keras.md").read_text(encoding="utf-8") == text + "\n"
    table = pd.read_csv(tmp_path / "out" / "simclr_keras.csv")
    assert table["last epoch (%)"].tolist() == pytest.approx([50, 40, 61])
    assert (tmp_path / "out" / "simclr_keras.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_has_accuracy_and_loss_of_the_three_runs_over_epochs(results):
    accuracy, loss = draw_simclr_keras(results).axes
    for axes in (accuracy, loss):
        names = [text.get_text() for text in axes.get_legend().get_texts()]
        assert names == ["supervised baseline", "pretraining, online probe", "fine-tuning"]
        assert axes.get_xlabel() == "epoch" and len({line.get_color() for line in axes.lines}) == 3
    np.testing.assert_allclose(accuracy.lines[0].get_xydata(), [[1, 30], [2, 52], [3, 50]])
    np.testing.assert_allclose(loss.lines[2].get_xydata(), [[1, 1.4], [2, 1.2], [3, 1.3]])
    assert "accuracy (%)" in accuracy.get_ylabel() and "loss" in loss.get_ylabel()
