"""Exported models compute what the trained network computes, and nothing of training is in them."""

import json
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from ppcds.config import load_recipe
from ppcds.datasets import Sports10
from ppcds.datasets.build import build_eval_split
from ppcds.engine.deployed import build_deployed, load_deployed
from ppcds.errors import UserError
from ppcds.export import FORMATS, formats
from ppcds.export.model_folder import as_model, choose_formats, count_parameters, write_model_folder
from ppcds.export.runtimes import open_model
from ppcds.methods.build import build_method
from ppcds.models import build_encoder
from ppcds.weights import save_weights

CLASSES = Sports10.CLASSES
HERE = [name for name in FORMATS if formats.reason_against(name) is None]
PADDLE = HERE[0]  # the format that this Paddle writes by itself


@pytest.fixture(scope="module")
def trained(trained_run):
    """Recipe, weights, and the run's validation images as the network sees them, [20, 3, 32, 32]."""
    recipe = load_recipe(str(trained_run / "recipe.yaml"))
    split = build_eval_split(recipe)
    images = np.stack([split[i][0][0] for i in range(len(split))])
    return recipe, trained_run / "best_model.pdparams", images


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """The folder of all formats that can be written here."""
    recipe, weights, _ = trained
    folder = tmp_path_factory.mktemp("out") / "export"
    write_model_folder(folder, recipe, CLASSES, weights, HERE)
    return folder


def changed(recipe, **model):
    recipe = recipe.model_copy(deep=True)
    for key, value in model.items():
        setattr(recipe.model, key, value)
    return recipe


def test_the_formats_of_the_tool_are_those_that_can_be_written():
    assert tuple(formats.WRITERS) == FORMATS
    assert "pdmodel" in HERE
    assert "onnx" in HERE or sys.version_info >= (3, 13)  # the tests' requirements are complete


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("count", [1, 3, 20])
def test_a_batch_of_any_size_gives_the_trained_networks_logits_and_classes(trained, exported, name, count):
    recipe, weights, images = trained
    expected = as_model(load_deployed(recipe, 10, weights))(images[:count])
    found = open_model(exported / f"model.{name}")(images[:count])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    assert (found.argmax(1) == expected.argmax(1)).all()
    assert np.abs(expected).max() > 0.5  # logits that could differ


def bytes_beside_numbers(folder, network):
    """Of model.pdiparams, for each of its tensors, without the numbers of this network."""
    spare = (folder / "model.pdiparams").stat().st_size - 4 * sum(count_parameters(network))
    return spare / len(network.state_dict())


def test_training_heads_are_absent(trained, exported):
    recipe, weights, _ = trained
    assert 0 < bytes_beside_numbers(exported, load_deployed(recipe, 10, weights)) < 40  # type and shape
    assert bytes_beside_numbers(exported, build_method(recipe, 10)) < -40


@pytest.mark.skipif("onnx" not in HERE, reason="paddle2onnx is not installed")
def test_an_onnx_file_holds_the_backbones_weights_alone(trained, exported):
    onnx = pytest.importorskip("onnx")  # which paddle2onnx for Paddle 2 does not bring
    recipe, weights, _ = trained
    learned, statistics = count_parameters(load_deployed(recipe, 10, weights))
    graph = onnx.load(exported / "model.onnx").graph
    held = list(graph.initializer)
    held += [a.t for node in graph.node if node.op_type == "Constant" for a in node.attribute]
    numbers = sum(int(np.prod(one.dims)) for one in held if one.data_type == onnx.TensorProto.FLOAT)
    assert 0.9 * learned < numbers <= learned + statistics + 100
    assert [i.name for i in graph.input] == ["images"]


@pytest.mark.parametrize("options", [{"channels_last": True}, {"recompute": [1, 4]}])
def test_how_a_network_was_trained_leaves_no_trace_in_the_files(trained, exported, tmp_path, options):
    recipe, weights, _ = trained
    write_model_folder(tmp_path / "export", changed(recipe, **options), CLASSES, weights, [PADDLE])
    for name in ("model.pdiparams", f"model.{PADDLE}"):
        one, other = (folder / name for folder in (tmp_path / "export", exported))
        assert len(one.read_bytes()) == pytest.approx(len(other.read_bytes()), rel=0.02)
    program = (tmp_path / "export" / f"model.{PADDLE}").read_bytes()
    assert b"conv2d" in program
    for trace in (b"NHWC", b"onednn", b"run_program"):
        assert trace not in program


def test_files_do_not_tell_where_they_were_made(exported):
    here = str(Path(formats.__file__).parents[2]).encode()
    for path in exported.iterdir():
        assert here not in path.read_bytes() and b".py" not in path.read_bytes()


def test_preprocessing_is_what_the_recipe_shows_for_evaluation(trained, exported):
    recipe = trained[0]
    found = json.loads((exported / "preprocess.json").read_text(encoding="utf-8"))
    normalize = recipe.views.eval[-1]["Normalize"]
    assert (found["mean"], found["std"]) == (normalize["mean"], normalize["std"])
    assert (found["size"], found["interpolation"]) == ([32, 32], recipe.data.interpolation)
    assert (found["classes"], found["output"], found["channels"]) == (list(CLASSES), "logits", "RGB")


def test_an_encoder_is_exported_without_its_projection_head(trained, tmp_path):
    recipe, _, images = trained
    recipe.save(tmp_path / "changed.yaml")
    changes = ["method.name=simclr", "model.head={widths: [16, 8]}"]
    recipe = load_recipe(str(tmp_path / "changed.yaml"), changes)
    encoder = build_encoder(recipe.model, recipe.data.size)
    save_weights(encoder.state_dict(), tmp_path / "encoder.pdparams")
    write_model_folder(tmp_path / "out", recipe, CLASSES, tmp_path / "encoder.pdparams", [PADDLE])
    encoder.eval()
    found = open_model(tmp_path / "out" / f"model.{PADDLE}")(images)
    np.testing.assert_allclose(found, as_model(encoder)(images), atol=1e-4)
    about = json.loads((tmp_path / "out" / "preprocess.json").read_text())
    assert (about["output"], about["classes"]) == ("features", None)
    assert 0 < bytes_beside_numbers(tmp_path / "out", encoder.backbone) < 40


@pytest.mark.parametrize("before", [False, True])
def test_a_file_that_differs_is_not_left_behind(trained, tmp_path, monkeypatch, before):
    recipe, weights, _ = trained
    if before:
        write_model_folder(tmp_path / "export", recipe, CLASSES, weights, [PADDLE])
        kept = {path.name: path.read_bytes() for path in (tmp_path / "export").iterdir()}

    def write_another(network, size, folder, write=formats.WRITERS[PADDLE]):
        bias = network.fc.bias.numpy()
        network.fc.bias.set_value(bias + np.eye(len(bias), dtype="float32")[0] * 3e-2)
        write(network, size, folder)

    monkeypatch.setitem(formats.WRITERS, PADDLE, write_another)
    with pytest.raises(UserError, match=rf"model.{PADDLE} differs from the trained network by 0.03"):
        write_model_folder(tmp_path / "export", recipe, CLASSES, weights, [PADDLE])
    left = [path.name for path in tmp_path.iterdir()]
    assert left == (["export"] if before else [])
    assert not before or kept == {path.name: path.read_bytes() for path in (tmp_path / "export").iterdir()}


def test_a_converter_that_ends_its_process_is_told_in_words(trained, tmp_path, monkeypatch):
    recipe, weights, _ = trained
    (tmp_path / "abort.py").write_text("import os\nprint('Oops: no such operator', flush=True)\nos.abort()\n")
    monkeypatch.setattr(formats, "CONVERTER", tmp_path / "abort.py")
    reason = "paddle2onnx cannot convert this network: Oops: no such operator"
    with pytest.raises(UserError, match=reason):
        write_model_folder(tmp_path / "export", recipe, CLASSES, weights, ["onnx"])
    assert not (tmp_path / "export").exists()
    said = []
    write_model_folder(tmp_path / "export", recipe, CLASSES, weights, [PADDLE, "onnx"], said.append)
    assert said == [f"not written: model.onnx: {reason}"]
    left = {path.name for path in (tmp_path / "export").iterdir()}
    assert left == {"preprocess.json", "model.pdiparams", f"model.{PADDLE}"}


def test_a_network_that_older_programs_cannot_hold_keeps_its_other_formats(trained, tmp_path):
    recipe = changed(trained[0], name="resnet50_sk", width=2)
    weights = tmp_path / "w.pdparams"
    save_weights(build_deployed(recipe, 10).state_dict(), weights)
    said, tried = [], [name for name in HERE if name != "onnx"]
    found = write_model_folder(tmp_path / "out", recipe, CLASSES, weights, tried, said.append)
    refused = {name for name in tried if f"not written: model.{name}: Paddle" in " ".join(said)}
    assert set(found) == {f"model.{name}" for name in tried if name not in refused}
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {*found, "model.pdiparams", "preprocess.json"} and f"model.{PADDLE}" in found
    assert paddle.in_dynamic_mode()


def test_what_is_not_installed_is_left_out_in_words_or_refused_if_asked_for(monkeypatch):
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None)
    said = []
    assert "onnx" not in choose_formats(None, said.append)
    assert any("model.onnx: paddle2onnx and onnxruntime not installed: pip install" in line for line in said)
    with pytest.raises(UserError, match=r"--formats: model.onnx: paddle2onnx and onnxruntime not installed"):
        choose_formats(["onnx"], said.append)


def test_a_converter_for_another_paddle_is_refused_with_the_version_that_fits(monkeypatch):
    monkeypatch.setattr(formats, "_writes_pir", lambda: False)
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(formats.metadata, "version", lambda name: "2.1.0")
    assert formats.reason_against("onnx") == 'paddle2onnx 2.1.0 takes Paddle 3: pip install "paddle2onnx<2"'
    assert f"Paddle {paddle.__version__} cannot write it" in formats.reason_against("json")


def test_steps_that_are_no_numbers_are_refused_before_anything_is_written(trained, tmp_path):
    recipe, weights, _ = trained
    recipe = recipe.model_copy(deep=True)
    recipe.views.eval.insert(0, {"RandomCrop": {"padding": 4}})
    with pytest.raises(UserError, match=r"views.eval\[0\]: RandomCrop cannot be written beside"):
        write_model_folder(tmp_path / "export", recipe, CLASSES, weights, HERE)
    assert list(tmp_path.iterdir()) == []


def test_the_dynamic_network_works_as_before_after_an_export(trained, exported):
    recipe, weights, images = trained
    network = load_deployed(recipe, 10, weights)
    before = as_model(network)(images)
    formats.write_pdmodel(network, (32, 32), exported.parent)
    assert paddle.in_dynamic_mode()
    np.testing.assert_array_equal(as_model(network)(images), before)
    network.train()
    network(paddle.to_tensor(images)).sum().backward()
    assert float(network.fc.weight.grad.abs().sum()) > 0
