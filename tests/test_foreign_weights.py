"""Weights of others: nothing in them runs, and what does not fit is refused in words."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcds.errors import UserError
from ppcds.models import load_pretrained
from ppcds.weights import load_weights, read_metadata, set_weights

REFERENCE = Path(__file__).parent / "reference"


class Calls:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class HasState:
    """Pickles as an object whose state is set by an instruction."""

    def __init__(self, command):
        self.command = command

    def __setstate__(self, state):
        os.system(state["command"])


def instructions(command):
    """Pickles written by hand, each of which runs `command` in pickle.load, or asks for objects."""
    text = command.encode()
    string = b"X" + struct.pack("<I", len(text)) + text
    shell = b"cposix\nsystem\n"
    return {
        "REDUCE": b"\x80\x02" + shell + string + b"\x85R.",
        "REDUCE of a name from the stack": b"\x80\x04\x8c\x05posix\x8c\x06system\x93" + string + b"\x85R.",
        "a name with dots": b"\x80\x04\x8c\x02os\x8c\x0bpath.os.sys\x93.",
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\n" + string + b"\x85\x81.",
        "NEWOBJ_EX": b"\x80\x04csubprocess\nPopen\n" + string + b"\x85}\x92.",
        "INST": b"(S'" + text + b"'\niposix\nsystem\n.",
        "OBJ": b"(" + shell + b"S'" + text + b"'\no.",
        "a number that copyreg has": b"\x80\x02\x82\x01" + string + b"\x85R.",
        "two bytes of them": b"\x80\x02\x83\x01\x00" + string + b"\x85R.",
        "four bytes of them": b"\x80\x02\x84\x01\x00\x00\x00" + string + b"\x85R.",
        "a persistent name": b"Pelsewhere\n.",
        "a persistent object": string + b"Q.",
        "a buffer from outside": b"\x80\x05\x97.",
        "the state of a dtype": b"\x80\x02cnumpy\ndtype\n" + string + b"b.",
        "the state of a class": b"\x80\x02ccollections\nOrderedDict\nN}X\x01\x00\x00\x00xK\x01s\x86b.",
        "an array of objects": pickle.dumps({"a": np.array([Calls(os.system, command)], object)}, 4),
        "a scalar of objects": b"\x80\x02cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x01\x00\x00\x00O"
        b"\x85R" + shell + string + b"\x85R\x86R.",
        "a dtype with objects inside": b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00V8K\x00K\x01\x87R.",
        "a state that is set": pickle.dumps({"a": HasState(command)}, 2),
    }


def attacks(command):
    calls = {
        f"a call in protocol {protocol}": pickle.dumps({"a": [({"b": Calls(os.system, command)},)]}, protocol)
        for protocol in range(6)
    }
    keys = {"as a key": pickle.dumps({Calls(os.system, command): 1}, 4)}
    loaders = {
        "numpy's loader": pickle.dumps({"a": Calls(np.load, command)}, 4),
        "numpy's memmap": pickle.dumps({"a": Calls(np.memmap, command, "float32", "w+", 0, (2,))}, 4),
        "an attribute": pickle.dumps({"a": Calls(getattr, np.ones(1), "tofile")}, 4),
        "eval": pickle.dumps({"a": Calls(eval, f"__import__('os').system({command!r})")}, 4),
    }
    return {**instructions(command), **calls, **keys, **loaders}


@pytest.mark.parametrize("name", list(attacks("")))
def test_a_pickle_that_asks_for_more_than_arrays_is_refused_and_nothing_runs(tmp_path, name, monkeypatch):
    marker, path = tmp_path / "executed", tmp_path / "bad.pdparams"
    monkeypatch.setattr("copyreg._inverted_registry", {1: ("posix", "system")})
    monkeypatch.setattr("copyreg._extension_cache", {})
    path.write_bytes(attacks(f"touch {marker}")[name])
    with pytest.raises(UserError, match=r"bad\.pdparams: cannot be read as weights: "):
        load_weights(path)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["REDUCE", "INST", "OBJ", "a call in protocol 0", "a state that is set"])
def test_these_files_do_run_what_they_like_where_paddle_loads_them(tmp_path, name):
    """That the attacks above are ones: of those that one process can meet without harm."""
    marker = tmp_path / "executed"
    pickle.loads(attacks(f"touch {marker}")[name])
    assert marker.exists()


@pytest.mark.parametrize("content", ["pickle", "safetensors of a pickle", "text", "nothing"])
def test_every_place_that_reads_weights_refuses_a_malicious_file(teacher_run, tmp_path, content):
    from ppcds.config import load_recipe
    from ppcds.engine.checkpoint import read_position
    from ppcds.engine.deployed import load_classifier
    from ppcds.methods.build import build_method, load_teacher

    marker = tmp_path / "executed"
    evil = pickle.dumps({"conv1.weight": Calls(os.system, f"touch {marker}")}, 4)
    written = {
        "pickle": evil,
        "safetensors of a pickle": struct.pack("<Q", len(evil)) + evil,
        "text": b"hello",
    }
    recipe = load_recipe(str(teacher_run / "recipe.yaml"))
    recipe.save(tmp_path / "recipe.yaml")
    for suffix in (".pdparams", ".safetensors"):
        path = tmp_path / f"evil{suffix}"
        path.write_bytes(written.get(content, b""))
        started = recipe.model_copy(deep=True)
        started.model.pretrained = str(path)
        for read in (
            lambda path=path: load_classifier(recipe, 10, path),  # eval.py and predict.py
            lambda path=path: load_teacher(str(path), recipe),  # method.teacher_weights
            lambda started=started: build_method(started, 10),  # model.pretrained
            lambda path=path: read_metadata(path) or load_weights(path),
        ):
            with pytest.raises(UserError, match=f"evil{suffix}"):
                read()
    with pytest.raises(UserError, match=r"evil\.safetensors"):
        read_position(tmp_path / "evil.safetensors", recipe)  # --resume
    assert not marker.exists()


def test_the_state_of_an_optimiser_is_not_read(tmp_path):
    paddle.save({"a": paddle.ones([1])}, str(tmp_path / "a.pdopt"))
    with pytest.raises(UserError, match=r"a\.pdopt: the state of an optimiser is not read"):
        load_weights(tmp_path / "a.pdopt")


@pytest.mark.parametrize("path", sorted(REFERENCE.glob("paddle_*.pdparams")), ids=lambda path: path.stem)
def test_files_of_both_paddles_are_read(path):
    loaded = load_weights(path)
    shapes = {name: array.shape for name, array in loaded.items()}
    vectors = dict.fromkeys(["0.bias", "1.weight", "1.bias", "1._mean", "1._variance"], (4,))
    assert shapes == {"0.weight": (3, 4), **vectors}
    expected = paddle.load(str(path), return_numpy=True)
    for name, array in loaded.items():
        np.testing.assert_array_equal(array, expected[name])


def test_the_parts_into_which_paddle_cuts_a_large_array_are_joined(tmp_path):
    whole = np.arange(10, dtype="float32")
    about = {"big": {"OriginShape": (2, 5), "slices": ["big@@.0", "big@@.1"]}}
    content = {"b": np.ones(1), "big@@.0": whole[:6], "big@@.1": whole[6:], "UnpackBigParamInfor@@": about}
    path = tmp_path / "a.pdparams"
    path.write_bytes(pickle.dumps(content, 2))
    loaded = load_weights(path)
    assert sorted(loaded) == ["b", "big"]
    np.testing.assert_array_equal(loaded["big"], whole.reshape(2, 5))
    path.write_bytes(
        pickle.dumps({"p": [1, 2], "UnpackBigParamInfor@@": {"a": {"OriginShape": (2,), "slices": ["p"]}}}, 2)
    )
    with pytest.raises(UserError, match="names parts that are no arrays"):  # lists of lists can be endless
        load_weights(path)
    for broken in ({"big": {"slices": ["no"]}}, {"big": []}, [], {"big": {"slices": "b", "OriginShape": 7}}):
        path.write_bytes(pickle.dumps({**content, "UnpackBigParamInfor@@": broken}, 2))
        with pytest.raises(UserError, match=r"a\.pdparams"):
            load_weights(path)


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1D(4))


NOT_FINITE = {
    "NaN": lambda arrays: arrays["0.weight"].__setitem__((1, 2), np.nan),
    "an infinity": lambda arrays: arrays["0.weight"].__setitem__((0, 0), -np.inf),
    "too large for float32": lambda arrays: arrays.update({"0.weight": np.full((3, 4), 1e300)}),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", list(NOT_FINITE))
def test_numbers_that_are_not_finite_are_refused_and_nothing_changes(name):
    layer = network()
    before = {name: value.numpy().copy() for name, value in layer.state_dict().items()}
    arrays = {name: value + 1 for name, value in before.items()}
    NOT_FINITE[name](arrays)
    with pytest.raises(UserError, match=r"^a\.pdparams: 0\.weight holds numbers that are not finite"):
        set_weights(layer, arrays, "a.pdparams")
    assert all((value.numpy() == before[name]).all() for name, value in layer.state_dict().items())


def test_pretrained_weights_with_a_nan_are_refused():
    from ppcds.models import build_backbone

    arrays = {n: t.numpy().copy() for n, t in build_backbone("resnet18", 3, 2).state_dict().items()}
    arrays["layer2.0.bn1._variance"][0] = np.nan
    with pytest.raises(
        UserError, match=r"a\.pdparams: layer2\.0\.bn1\._variance holds numbers that are not finite"
    ):
        load_pretrained(build_backbone("resnet18", 3, 2), arrays, "a.pdparams")


def test_names_out_of_a_file_cannot_write_lines_or_colours_into_a_message(tmp_path):
    layer = network()
    arrays = {name: value.numpy() for name, value in layer.state_dict().items()}
    arrays["x\nerror: \x1b[31mall is lost"] = arrays["y" * 5000] = np.ones(1)
    with pytest.raises(UserError, match="2 unknown") as caught:
        set_weights(layer, arrays, "a.pdparams")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400
    path = tmp_path / "a.pdparams"
    path.write_bytes(pickle.dumps({"x\n\x1b[31m" + "z" * 5000: 3}, 4))
    with pytest.raises(UserError) as caught:
        load_weights(path)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400


def test_a_recipe_beside_the_weights_cannot_ask_for_more_memory_than_they_need(teacher_run, tmp_path):
    from ppcds.config import load_recipe
    from ppcds.engine.deployed import load_deployed

    recipe = load_recipe(str(teacher_run / "recipe.yaml"), ["model.width=1000000"])  # 10^14 weights
    with pytest.raises(UserError, match=r"best_model\.pdparams: weights of another network"):
        load_deployed(recipe, 10, teacher_run / "best_model.pdparams")
