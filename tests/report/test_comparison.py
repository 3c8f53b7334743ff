"""Finished runs side by side."""

import numpy as np
import pandas as pd
import pytest

from ppcds.errors import UserError
from ppcds.report.accuracy_curves import draw_accuracy_curves
from ppcds.report.comparison import comparison_table, format_table, unlike, write_comparison
from ppcds.report.run_result import count_parameters, read_result
from ppcds.weights import save_weights


@pytest.fixture
def results(make_run):
    """Three seeds of one label, one of a second whose other seeds are not finished."""
    good = [(0.1, 0.7, 0.72), (0.1, 0.8, 0.74), (0.1, 0.7, 0.76)]
    runs = {
        "CDS": {seed: make_run(f"cds{seed}", good[seed], seconds=3600 + 60 * seed) for seed in range(3)},
        "cross | entropy": {
            0: make_run("ce0", (0.2, 0.3, 0.4), seconds=60),
            1: make_run("ce1", (0.2, 0.3), epochs=3, seconds=40),
            2: make_run("ce2", (0.9,), epochs=3),
        },
    }
    return {
        label: {seed: read_result(run) for seed, run in by_seed.items()} for label, by_seed in runs.items()
    }


def test_the_accuracy_is_that_of_the_last_epoch_not_of_the_best(make_run):
    assert read_result(make_run("run", (0.2, 0.9, 0.4))).accuracy == 0.4


def test_epochs_that_were_not_evaluated_are_left_out(make_run):
    result = read_result(make_run("run", (None, 0.3, None, 0.5)))
    assert result.curve["eval_accuracy"].tolist() == [0.3, 0.5]
    assert result.curve["images_seen"].tolist() == [2000, 4000]


def test_a_run_of_which_nothing_could_be_measured_has_a_cost_alone(results, make_run, tmp_path):
    unlabelled = read_result(make_run("unlabelled", (None, None, None), seconds=60))
    assert np.isnan(unlabelled.accuracy) and unlabelled.images_seen == 3000
    both = {"CDS": results["CDS"], "unlabelled": {0: unlabelled, 1: None}}
    row = format_table(comparison_table(both)).set_index("run").loc["unlabelled"]
    assert row["accuracy"] == "not measured" and row["images seen"] == "3,000"
    write_comparison(tmp_path / "out", both)
    assert len(draw_accuracy_curves(both).axes[0].get_legend().get_texts()) == 1


def test_an_unfinished_run_has_no_result_and_another_recipes_is_refused(make_run):
    unfinished = make_run("run", (0.2, 0.3), epochs=3)
    assert read_result(unfinished) is None
    unfinished.optim.learning_rate = 0.3
    with pytest.raises(UserError, match="has changed since, in optim.learning_rate"):
        read_result(unfinished)


def test_parameters_are_what_is_learned_and_deployed(make_run, tmp_path):
    assert read_result(make_run("run", (0.5,))).parameters == 108 + 4 + 50
    encoder = {"backbone.conv1.weight": np.zeros((4, 3)), "projection.layers.0.weight": np.zeros((4, 8))}
    save_weights(encoder, tmp_path / "encoder.pdparams")
    assert count_parameters(tmp_path / "encoder.pdparams") == 12
    save_weights({**encoder, "fc.weight": np.zeros((8, 2))}, tmp_path / "headed.pdparams")
    assert count_parameters(tmp_path / "headed.pdparams") == 12 + 32 + 16


def test_the_table_has_the_mean_the_deviation_of_a_sample_and_every_seed(results):
    table = comparison_table(results).set_index("run")
    cds = table.loc["CDS"]
    assert cds["accuracy"] == pytest.approx(0.74) and cds["std"] == pytest.approx(0.02)
    assert cds[["seed 0", "seed 1", "seed 2"]].tolist() == [0.72, 0.74, 0.76]
    assert (cds["images_seen"], cds["seconds"], cds["parameters"]) == (3000, 3660, 162)
    single = table.loc["cross | entropy"]
    assert single["accuracy"] == 0.4 and single[["std", "seed 1", "seed 2"]].isna().all()


def test_the_table_in_words(results, make_run):
    results["untimed"] = {0: read_result(make_run("untimed", (0.1, 0.1, 0.1)))}
    results["absent"] = {0: None, 1: None, 2: None}
    shown = format_table(comparison_table(results)).set_index("run")
    assert shown.loc["CDS"].tolist()[:4] == ["0.740 ± 0.020", "0.7200", "0.7400", "0.7600"]
    assert shown.loc["CDS"].tolist()[4:] == ["3,000", "1:01", "0.000"]
    assert shown.loc["cross | entropy"].tolist()[:4] == ["0.4000", "0.4000", "not run", "not run"]
    assert shown.loc["untimed", "time (h:mm)"] == "not timed"
    assert shown.loc["absent"].tolist() == ["not run"] * 4 + [""] * 3


def test_runs_of_unlike_length_or_other_images_are_marked(results, make_run):
    assert unlike(results) == []
    results["half"] = {0: read_result(make_run("half", (0.1,)))}
    assert unlike(results) == ["Images seen differ: the accuracies are not at equal cost."]
    held = read_result(make_run("held", (0.1, 0.1, 0.1), "data.hold_back=0.1"))
    said = unlike({"CDS": results["CDS"], "held": {0: held}})
    assert len(said) == 1 and "held on data/d/Demo: 10% of train, held back" in said[0]


def test_accuracies_of_neighbours_and_of_a_classifier_are_told_apart(results, make_run, tmp_path):
    head = "model.head={widths: [8]}"
    encoder = read_result(make_run("simclr", (0.1, 0.2, 0.3), "method.name=simclr", head))
    (said,) = unlike({"CDS": results["CDS"], "SimCLR": {0: encoder}, "absent": {0: None}})
    assert said == (
        "The accuracies are not measured alike "
        "(CDS by its classifier; SimCLR by nearest neighbours of the features)."
    )
    assert unlike({"SimCLR": {0: encoder}}) == []
    assert said in write_comparison(tmp_path / "out", {"CDS": results["CDS"], "SimCLR": {0: encoder}})


def test_the_files_are_written_and_say_the_same(results, tmp_path):
    text = write_comparison(tmp_path / "out", results)
    assert (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8") == text + "\n"
    table = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert table["accuracy"].tolist() == pytest.approx([0.74, 0.4])
    assert (tmp_path / "out" / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_finished_is_nothing_to_compare(tmp_path):
    with pytest.raises(UserError, match="no run is finished yet"):
        write_comparison(tmp_path / "out", {"CDS": {0: None}})
    assert not (tmp_path / "out").exists()


def test_the_picture_has_a_mean_a_line_a_seed_and_the_last_values_in_its_legend(results):
    axes = draw_accuracy_curves({**results, "absent": {0: None}}).axes[0]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["CDS: 0.740 ± 0.020 (3 seeds)", "cross | entropy: 0.400 (one seed)"]
    thick = [line for line in axes.lines if line.get_linewidth() == 2]
    assert len(thick) == 2 and len(axes.lines) == 2 + 3
    np.testing.assert_allclose(thick[0].get_xydata(), [[1000, 0.1], [2000, 2.2 / 3], [3000, 0.74]])
    assert "images seen" in axes.get_xlabel() and "share" in axes.get_ylabel()


def test_many_labels_are_told_apart_by_colour_and_line(make_run):
    run = read_result(make_run("run", (0.1, 0.2)))
    axes = draw_accuracy_curves({f"label {number}": {0: run} for number in range(20)}).axes[0]
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 20


def test_labels_with_dollar_signs_are_no_formulas(make_run, tmp_path):
    run = read_result(make_run("run", (0.1, 0.2)))
    draw_accuracy_curves({"$a_{$": {0: run}}).savefig(tmp_path / "picture.png")
