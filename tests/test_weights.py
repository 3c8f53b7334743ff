from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import zlib
from collections import OrderedDict

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcds import load_weights
from ppcds.errors import UserError
from ppcds.weights import checksum, read_metadata, save_weights, set_weights

SUFFIXES = [".pdparams", ".safetensors"]


def small_network():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1D(4))


def arrays_of(layer):
    return {name: tensor.numpy().copy() for name, tensor in layer.state_dict().items()}


def assert_same(first, second):
    assert list(first) == list(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
        assert first[name].dtype == second[name].dtype


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_file_of_paddle_save_is_read(tmp_path, protocol):
    layer = small_network()
    paddle.save(layer.state_dict(), str(tmp_path / "a.pdparams"), protocol=protocol)
    assert_same(load_weights(tmp_path / "a.pdparams"), arrays_of(layer))


def test_what_is_saved_as_pdparams_can_be_read_by_paddle_load(tmp_path):
    layer = small_network()
    save_weights(layer.state_dict(), tmp_path / "a.pdparams")
    loaded = paddle.load(str(tmp_path / "a.pdparams"))
    assert_same({name: np.asarray(value) for name, value in loaded.items()}, arrays_of(layer))
    other = small_network()
    other.set_state_dict(loaded)
    assert_same(arrays_of(other), arrays_of(layer))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_arrays_of_every_kind_come_back_as_they_were(tmp_path, suffix):
    rng = np.random.default_rng(0)
    arrays = {
        "bool": rng.random(5) > 0.5,
        "double": rng.standard_normal((2, 3)),
        "empty": np.zeros((0, 4), "float32"),
        "half": rng.standard_normal(3).astype("float16"),
        "int64": np.arange(6).reshape(2, 3),
        "scalar": np.array(3.5, "float32"),
        "transposed": rng.standard_normal((2, 3)).astype("float32").T,
        "uint8": np.arange(4, dtype="uint8"),
    }
    save_weights(arrays, tmp_path / f"a{suffix}")
    loaded = load_weights(tmp_path / f"a{suffix}")
    assert_same({name: loaded[name] for name in arrays}, arrays)
    loaded["double"][0, 0] = 1  # may be written to


def test_pickles_of_other_array_layouts_and_numpy_versions_are_read(tmp_path):
    arrays = OrderedDict(
        fortran=np.asfortranarray(np.arange(6, dtype="float32").reshape(2, 3)),
        swapped=np.arange(3, dtype=">f4"),
    )
    content = pickle.dumps(arrays, protocol=2)
    here, there = b"numpy._core.multiarray", b"numpy.core.multiarray"
    if here not in content:
        here, there = there, here
    for number, data in enumerate((content, content.replace(here, there))):
        path = tmp_path / f"{number}.pdparams"
        path.write_bytes(data)
        loaded = load_weights(path)
        np.testing.assert_array_equal(loaded["fortran"], arrays["fortran"])
        np.testing.assert_array_equal(loaded["swapped"], [0, 1, 2])


def test_metadata_is_kept_by_safetensors_and_refused_for_pdparams(tmp_path):
    arrays = {"a": np.ones(2, "float32")}
    save_weights(arrays, tmp_path / "a.safetensors", {"epoch": "3"})
    assert read_metadata(tmp_path / "a.safetensors") == {"epoch": "3"}
    save_weights(arrays, tmp_path / "a.pdparams")
    assert read_metadata(tmp_path / "a.pdparams") == {}
    with pytest.raises(ValueError, match="metadata"):
        save_weights(arrays, tmp_path / "b.pdparams", {"epoch": "3"})


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_cut_at_any_place_are_named(tmp_path, suffix):
    path = tmp_path / f"whole{suffix}"
    save_weights({"a": np.ones((3, 4), "float32"), "b": np.ones(2, "float32")}, path)
    content = path.read_bytes()
    for length in range(0, len(content) - 1, 7):
        cut = tmp_path / f"cut{suffix}"
        cut.write_bytes(content[:length])
        with pytest.raises(UserError, match=f"cut{suffix}"):
            load_weights(cut)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_of_another_kind_are_named(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    for content in (b"hello, I am text", os.urandom(200), struct.pack("<Q", 2**62) + b"{}"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"a{suffix}"):
            load_weights(path)


HALVES = np.array([1.0, -0.0, 3.140625, -1e-40, 3e38, np.inf, 2**-126], "float32").view("uint32") >> 16


def bfloat16_values():
    return (HALVES << 16).view("float32")


def safetensors_of_bfloat16(path):
    header = {
        "after": {"dtype": "F32", "shape": [1], "data_offsets": [16, 20]},
        "half": {"dtype": "BF16", "shape": [7, 1], "data_offsets": [0, 14]},
        "one": {"dtype": "BF16", "shape": [], "data_offsets": [14, 16]},
    }
    text = json.dumps(header).encode()
    data = HALVES.astype("<u2").tobytes() + b"\x80\x3f" + np.float32(7).tobytes()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def paddle_file_of_bfloat16(path):
    values = bfloat16_values().reshape(7, 1)
    tensors = {"after": paddle.to_tensor([7.0]), "half": paddle.to_tensor(values).astype("bfloat16")}
    paddle.save({**tensors, "one": paddle.to_tensor(1.0).astype("bfloat16")}, str(path))


@pytest.mark.parametrize("write", [safetensors_of_bfloat16, paddle_file_of_bfloat16])
def test_bfloat16_is_read_as_float32_of_the_same_values(tmp_path, write):
    path = tmp_path / ("a.safetensors" if write is safetensors_of_bfloat16 else "a.pdparams")
    write(path)
    loaded = load_weights(path)
    assert {array.dtype for array in loaded.values()} == {np.dtype("float32")}
    assert loaded["half"].tobytes() == bfloat16_values().tobytes() and loaded["half"].shape == (7, 1)
    assert loaded["one"] == 1 and loaded["one"].shape == () and loaded["after"] == [7]
    loaded["half"][0] = 2  # may be written to


def test_one_array_of_bfloat16_under_many_names_is_widened_once(tmp_path):
    path, halves = tmp_path / "a.pdparams", np.ones(100_000, "uint16")
    path.write_bytes(pickle.dumps({f"a{number}": halves for number in range(2000)}, 4))
    loaded = load_weights(path)
    assert len({id(array) for array in loaded.values()}) == 1
    assert sum(array.nbytes for array in {id(a): a for a in loaded.values()}.values()) < 3 * os.path.getsize(
        path
    )


def test_missing_files_unknown_suffixes_and_other_contents_are_named(tmp_path):
    with pytest.raises(UserError, match="nowhere.pdparams: no such file"):
        load_weights(tmp_path / "nowhere.pdparams")
    with pytest.raises(UserError, match="a.pth: weights are kept in .pdparams or .safetensors"):
        load_weights(tmp_path / "a.pth")
    for content, complaint in (
        ({"a": 3}, "'a' is a int"),
        ({"net": {"a": np.ones(2)}}, "'net' is a dict"),
        ({3: np.ones(2)}, "keys are not names"),
        ([np.ones(2)], "holds a list"),
        ({"a": np.array(["text"])}, "type of numbers"),
    ):
        path = tmp_path / "other.pdparams"
        path.write_bytes(pickle.dumps(content, protocol=4))
        with pytest.raises(UserError, match=f"other.pdparams: .*{complaint}"):
            load_weights(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failed_save_keeps_the_old_file_and_leaves_no_other(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    save_weights({"a": np.ones(2, "float32")}, path)
    with pytest.raises(Exception, match=".+"):
        save_weights({"a": np.array([lambda: 0], dtype=object)}, path)
    assert os.listdir(tmp_path) == [path.name]
    np.testing.assert_array_equal(load_weights(path)["a"], [1, 1])


def test_set_weights_sets_parameters_and_buffers():
    source, target = small_network(), small_network()
    source(paddle.randn([8, 3]))  # moves the running statistics
    set_weights(target, arrays_of(source), "a.pdparams")
    assert_same(arrays_of(target), arrays_of(source))


@pytest.mark.parametrize(
    "change, complaint",
    [
        (lambda arrays: arrays.pop("0.bias"), r"1 missing \(0\.bias\)"),
        (lambda arrays: arrays.update(more=np.ones(1)), r"1 unknown \(more\)"),
        (
            lambda arrays: arrays.update({"0.weight": np.ones((4, 3), "float32")}),
            r"0\.weight is \[4, 3\], not \[3, 4\]",
        ),
        (lambda arrays: arrays.update({"0.bias": np.ones(4, "uint16")}), r"0\.bias is uint16, not float32"),
        (
            lambda arrays: arrays.update({f"x{i}": np.ones(1) for i in range(9)}),
            r"9 unknown \(x0, x1, x2, \.\.\.\)",
        ),
    ],
)
def test_weights_of_another_network_are_refused_and_nothing_changes(change, complaint):
    layer = small_network()
    before = arrays_of(layer)
    arrays = {name: value + 1 for name, value in before.items()}
    change(arrays)
    with pytest.raises(UserError, match=f"a.pdparams: weights of another network: .*{complaint}"):
        set_weights(layer, arrays, "a.pdparams")
    assert_same(arrays_of(layer), before)


def test_a_checksum_is_that_of_names_types_shapes_and_bytes():
    arrays = {"b": np.float32([[1, 2]]), "a": np.int64(3), "odd \ud800": np.zeros(0, "uint8")}
    text = b"a int64 ()\n" + np.int64(3).tobytes() + b"b float32 (1, 2)\n" + np.float32([1, 2]).tobytes()
    assert checksum(arrays) == f"{zlib.crc32(text + b'odd ? uint8 (0,)' + bytes([10])):08x}"
    assert checksum({}) == "00000000"


def test_all_that_does_not_fit_is_told_in_one_line():
    layer = small_network()
    arrays = {
        **arrays_of(layer),
        "0.weight": np.ones((4, 3), "float32"),
        **{f"x{i}": np.ones(1) for i in range(3)},
    }
    del arrays["0.bias"]
    with pytest.raises(UserError) as caught:
        set_weights(layer, arrays, "a.pdparams")
    assert str(caught.value) == (
        "a.pdparams: weights of another network: 1 missing (0.bias); 3 unknown (x0, x1, x2); "
        "1 of another shape or type (0.weight is [4, 3], not [3, 4])"
    )
    arrays["x3"] = np.ones(1)
    with pytest.raises(UserError, match=r"4 unknown \(x0, x1, x2, \.\.\.\)"):
        set_weights(layer, arrays, "a.pdparams")


def test_whole_numbers_fit_whole_numbers_alone():
    layer = small_network()
    layer.register_buffer("seen", paddle.to_tensor([3], dtype="int64"))
    set_weights(layer, {**arrays_of(layer), "seen": np.array([7], "int32")}, "a.pdparams")
    assert layer.seen.numpy().tolist() == [7] and "int64" in str(layer.seen.dtype)
    with pytest.raises(UserError, match="seen is float32, not int64"):
        set_weights(layer, {**arrays_of(layer), "seen": np.array([7], "float32")}, "a.pdparams")


def test_names_out_of_a_file_are_shown_in_one_line_of_modest_length():
    layer = small_network()
    for name, shown in (
        ("a\nb", "'a\\nb'"),
        ("x" * 99, "x" * 99),
        ("y" * 100, repr("y" * 100)),
        ("z" * 500, repr("z" * 100)),
    ):
        with pytest.raises(UserError) as caught:
            set_weights(layer, {**arrays_of(layer), name: np.ones(1)}, "a.pdparams")
        assert str(caught.value) == f"a.pdparams: weights of another network: 1 unknown ({shown})"


def test_numbers_are_brought_to_the_layers_type_and_must_be_finite_in_it(recwarn):
    layer = small_network()
    before = arrays_of(layer)
    wide = {
        name: value.astype("float64") + 1 / 3 for name, value in before.items() if value.dtype.kind == "f"
    }
    set_weights(layer, {**before, **wide}, "a.pdparams")
    for name, value in arrays_of(layer).items():
        assert value.dtype == before[name].dtype and value.shape == before[name].shape
    assert_same(
        arrays_of(layer), {**before, **{name: value.astype("float32") for name, value in wide.items()}}
    )
    wide["0.weight"][0, 0] = 1e300
    with pytest.raises(UserError, match="^a.pdparams: 0.weight holds numbers that are not finite"):
        set_weights(layer, {**before, **wide}, "a.pdparams")
    assert not [warning for warning in recwarn if "overflow" in str(warning.message)]


def test_reading_weights_does_not_load_paddle():
    code = "import sys, ppcds.weights; sys.exit('paddle' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
