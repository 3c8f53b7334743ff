"""Two processes that share each batch find what one finds, and make one run."""

from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pandas as pd
import pytest
from launched_ranks import SMALL, TESTS, launched, run
from paddle import nn

from ppcds.config import load_recipe
from ppcds.engine.deployed import load_deployed
from ppcds.engine.sharing import share_batches
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.models.sync_batch_norm import synchronise_batch_norm
from ppcds.weights import load_weights


def shared_batches():
    spec = spec_from_file_location("shared_batches", TESTS / "shared_batches.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_same_as_one_process(teacher, tmp_path, which):
    script = shared_batches()
    done = run(launched(tmp_path / "log", TESTS / "shared_batches.py", teacher, tmp_path / "found", which))
    assert done.returncode == 0, done.stdout[-2000:]
    alone = script.results(str(teacher), which)
    ranks = [dict(np.load(f"{tmp_path / 'found'}.{number}.npz")) for number in (0, 1)]
    for key, expected in alone.items():
        np.testing.assert_array_equal(ranks[0][key], ranks[1][key], err_msg=key)
        # Single precision can tell of losses alone: beside the kink of a ReLU a rounding decides, so that one
        # process with its rows in another order differs from itself by 1e-2 of the gradient.
        scale = max(1.0, np.abs(expected).max(initial=0))
        bound = 1e-5 if "float32" in key else 1e-9 if "weight " not in key else 1e-6
        assert np.abs(ranks[0][key] - expected).max(initial=0) <= bound * scale, key
    assert {key for key in ranks[0] if not key.startswith("gathered")} == set(alone)
    assert sum("gradient" in key for key in alone) > 10 * len(script.chosen(which))
    return ranks


def test_two_ranks_take_the_losses_and_gradients_of_one_process_and_go_the_same_way(teacher_run, tmp_path):
    ranks = assert_same_as_one_process(teacher_run, tmp_path, "five")
    rows = np.arange(12.0, dtype="float32").reshape(4, 3)
    for number, found in enumerate(ranks):
        np.testing.assert_array_equal(found["gathered rows"], rows)
        np.testing.assert_array_equal(found["gathered numbers"], [3, 1, 4, 1])
        own = rows[2 * number : 2 * number + 2]
        np.testing.assert_allclose(found[f"gathered gradient {number}"], 2 * 3 * own**2)  # times the ranks


@pytest.mark.slow
def test_two_ranks_of_64_equal_one_process_of_128_for_every_method(teacher_run, tmp_path):
    assert_same_as_one_process(teacher_run, tmp_path, "all")


def test_two_ranks_make_one_run_that_learns_what_one_process_learns(root, whole_run, tmp_path):
    recipe = load_recipe("demo", [*SMALL, f"data.root={root}", f"run.output_dir={tmp_path / 'run'}"])
    recipe.optim.epochs = 1
    Trainer(recipe).train()
    alone, shared = (pd.read_csv(folder / "metrics.csv").iloc[0] for folder in (tmp_path / "run", whole_run))
    assert alone.index.tolist() == shared.index.tolist()
    terms = [name for name in shared.index if name.startswith(("train_loss", "train_c"))]
    np.testing.assert_allclose(shared[terms], alone[terms], rtol=1e-3)  # five steps in single precision
    assert shared["images_seen"] == 80
    assert {file.name for file in whole_run.iterdir()} == {
        *("recipe.yaml", "train.log", "metrics.csv", "vdl"),
        *("latest.safetensors", "best_model.pdparams", "last_model.pdparams"),
    }
    assert len(list((whole_run / "vdl").iterdir())) == 1
    log = (whole_run / "train.log").read_text()
    assert log.count("batch 8: 2 ranks x 4") == 1 and log.count("epoch 1/3 step 1/5") == 1
    second = (whole_run.with_suffix(".log") / "workerlog.1").read_text()
    assert "epoch" not in second and "Done" not in second
    one = Trainer(recipe)
    assert list(one.method.deployed().state_dict()) == list(load_weights(whole_run / "best_model.pdparams"))


def test_two_ranks_count_each_of_19_validation_images_once(whole_run):
    recipe = load_recipe(str(whole_run / "recipe.yaml"))
    recipe.run.output_dir = str(whole_run.parent / "untouched")
    evaluation = Trainer(recipe).evaluation
    network = load_deployed(recipe, 10, whole_run / "last_model.pdparams")
    alone = evaluation.measure(network, 2, check=lambda: None)
    last = pd.read_csv(whole_run / "metrics.csv").iloc[-1]
    for name, value in alone.items():
        assert last[name] == pytest.approx(value, rel=1e-5), name
    assert last["eval_accuracy"] * 19 == pytest.approx(round(last["eval_accuracy"] * 19))


@pytest.mark.parametrize(
    ("size", "rows", "said"),
    [
        (7, 7, "data.batch_size 7 cannot be shared equally by 2 ranks"),
        (8, 3, "leaves a last batch of 3 images"),
    ],
)
def test_a_batch_that_cannot_be_shared_is_refused_in_words(monkeypatch, size, rows, said):
    monkeypatch.setattr("ppcds.engine.sharing.num_ranks", lambda: 2)
    recipe = load_recipe("demo", [f"data.batch_size={size}"])
    with pytest.raises(UserError, match=said):
        share_batches(recipe, nn.Identity(), [list(range(size)), list(range(rows))])


def test_synchronised_batch_norm_has_the_same_weights_under_the_same_names():
    network = nn.Sequential(nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4), nn.Sequential(nn.BatchNorm1D(4)))
    network.add_sublayer("unshifted", nn.BatchNorm1D(4, momentum=1.0, bias_attr=False))
    before, names = {id(p) for p in network.parameters()}, list(network.state_dict())
    synchronise_batch_norm(network)
    assert [type(layer).__name__ for layer in network.sublayers()].count("ProcessorSyncBatchNorm") == 3
    assert list(network.state_dict()) == names and {id(p) for p in network.parameters()} == before
    assert network.unshifted._momentum == 1.0
