"""Files that ask for more than they hold: their size bounds the memory and the time they take."""

from __future__ import annotations

import json
import pickle
import struct
import time
import tracemalloc

import numpy as np
import pytest

from ppcds import safe_pickle
from ppcds.errors import UserError
from ppcds.weights import load_weights

MAKE_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
MAKE_DTYPE = b"cnumpy\ndtype\nX\x02\x00\x00\x00u1K\x00K\x01\x87R"
DATA = b"\x01" * 200_000
SIZE = struct.pack("<I", len(DATA))


def dictionary_of(first, entries):
    """A pickle of {"d": first, and as many entries}, of which `first` can be used again as number 0."""
    named = (b"X\x04\x00\x00\x00%04d" % number + entry for number, entry in enumerate(entries))
    return b"\x80\x02}(X\x01\x00\x00\x00d" + first + b"q\x00" + b"".join(named) + b"u."


def arrays_of_one(shape, count):
    """Arrays of that shape that all have the same bytes."""
    entry = MAKE_ARRAY + b"(K\x01" + shape + MAKE_DTYPE + b"\x89h\x00tb"
    return dictionary_of(b"B" + SIZE + DATA, [entry] * count)


BOMBS = {  # what, and in which words it is refused
    "an array of 10^12": (
        arrays_of_one(b"\x8a\x06" + (10**12).to_bytes(6, "little") + b"\x85", 1),
        "an array of shape .* with 200000 bytes of numbers",
    ),
    "two thousand arrays of the same bytes": (
        arrays_of_one(b"J" + SIZE + b"\x85", 2000),
        "larger than the file",
    ),
    "a shape of a thousand numbers": (arrays_of_one(b"(" + b"M\xff\xff" * 1000 + b"t", 1), "endless tuples"),
    "two thousand times the same text as bytes": (
        dictionary_of(b"X" + SIZE + DATA, [b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R"] * 2000),
        "larger than the file",
    ),
    "a memo of 2^32 objects": (b"\x80\x02]r\xff\xff\xff\xff.", "holds a list"),
    "a frame of 2^63": (b"\x80\x04\x95" + b"\xff" * 7 + b"\x7f].", "holds a list"),
    "bytes of 2^62": (
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"a.",
        "expected 4611686018427387904 bytes",
    ),
    "bytes of 2^32": (b"\x80\x04B\xff\xff\xff\xffa.", "expected 4294967295 bytes"),
    "text of 2^62": (
        b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"a.",
        "expected 4611686018427387904 bytes",
    ),
    "changeable bytes of 2^62": (
        b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"a.",
        "expected 46116860184273",
    ),
    "a number of 2^31 bytes": (b"\x80\x02\x8b\xff\xff\xff\x7fa.", "not enough data"),
    "a number of 100,000 digits": (b"\x80\x02I" + b"9" * 100_000 + b"\n.", "no newline found"),
    "300,000 lists": (b"]" * 300_000 + b".", "holds a list"),
    "100,000 tuples in each other": (b")" + b"\x85" * 100_000 + b".", "nested or endless tuples"),
    "a global named by them": (
        b"\x80\x04)" + b"\x85" * 100_000 + b"h\x00\x93.",
        "nested or endless|not hold",
    ),
    "a global that takes 2^60 steps to hash": (
        b"\x80\x04)\x94" + b"".join(b"h%c\x86\x94" % number for number in range(60)) + b"\x8c\x01a\x93.",
        "nested or endless tuples",
    ),
    "a global that is no name": (b"\x80\x04]\x8c\x01a\x93.", "a global without a name"),
    "a key that takes 2^60 steps to hash": (
        b"\x80\x04})\x94" + b"".join(b"h%c\x86\x94" % number for number in range(60)) + b"Ns.",
        "nested or endless tuples",
    ),
    "a list of itself": (b"\x80\x04]\x94(" + b"h\x00" * 1000 + b"e.", "holds a list"),
    "a type of numbers with a long name": (
        b"\x80\x02cnumpy\ndtype\nX\x00\x00\x01\x00" + b"f" * 65536 + b"\x85R.",
        "no type of numbers",
    ),
}


@pytest.mark.parametrize("name", list(BOMBS))
def test_a_file_takes_time_and_memory_by_its_size_and_not_by_what_it_asks_for(tmp_path, name):
    content, words = BOMBS[name]
    path = tmp_path / "bomb.pdparams"
    path.write_bytes(content)
    tracemalloc.start()
    began = time.perf_counter()
    try:
        with pytest.raises(UserError, match=f"bomb.pdparams.*{words}") as caught:
            load_weights(path)
        assert tracemalloc.get_traced_memory()[1] < 200 * len(content) + 2_000_000
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - began < 20 and len(str(caught.value)) < 600


def test_a_pickle_of_endless_instructions_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(safe_pickle, "MOST_INSTRUCTIONS", 1000)
    path = tmp_path / "a.pdparams"
    path.write_bytes(b"]" * 1001 + b".")
    with pytest.raises(UserError, match=r"a\.pdparams: .*more than 1,000 instructions"):
        load_weights(path)
    path.write_bytes(b"]" * 999 + b".")
    with pytest.raises(UserError, match="holds a list"):
        load_weights(path)


def safetensors_file(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype, shape, *offsets):
    return {"dtype": dtype, "shape": shape, "data_offsets": list(offsets)}


HEADERS = {
    "a header of 2^63": struct.pack("<Q", 2**63) + b"{}",
    "a header of 2^40": struct.pack("<Q", 2**40) + b"{}",
    "arrays over each other": safetensors_file(
        {"a": tensor("U8", [4], 0, 4), "b": tensor("U8", [4], 2, 6)}, b"x" * 6
    ),
    "a hole": safetensors_file({"a": tensor("U8", [2], 0, 2), "b": tensor("U8", [2], 4, 6)}, b"x" * 6),
    "offsets behind the end": safetensors_file({"a": tensor("U8", [9], 0, 9)}, b"x"),
    "offsets backwards": safetensors_file({"a": tensor("U8", [2], 4, 2)}, b"x" * 4),
    "a negative shape": safetensors_file({"a": tensor("U8", [-1], 0, 1)}, b"x"),
    "a shape beyond numbers": safetensors_file({"a": tensor("F32", [2**62, 8], 0, 0)}),
    "a type that NumPy lacks": safetensors_file({"a": tensor("F8_E4M3", [1], 0, 1)}, b"x"),
    "a type that nobody has": safetensors_file({"a": tensor("O", [1], 0, 1)}, b"x"),
    "metadata that are no text": safetensors_file(
        {"__metadata__": {"a": [1]}, "b": tensor("U8", [1], 0, 1)}, b"x"
    ),
    "a header without end": safetensors_file(b'{"a":' + b"[" * 100_000),
    "bytes after the end": safetensors_file({"a": tensor("U8", [1], 0, 1)}, b"x" * 100),
}


@pytest.mark.parametrize("name", list(HEADERS))
def test_a_safetensors_file_that_lies_about_itself_is_refused(tmp_path, name):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(HEADERS[name])
    with pytest.raises(UserError, match=r"bad\.safetensors: cannot be read as weights: .+") as caught:
        load_weights(path)
    assert "\n" not in str(caught.value)


def test_an_array_that_is_a_part_of_another_many_times_is_refused(tmp_path):
    part = np.zeros(100_000, "float32")
    names = [f"a@@.{number}" for number in range(3000)]
    about = {"a": {"OriginShape": (300_000_000,), "slices": names}}
    path = tmp_path / "a.pdparams"
    path.write_bytes(pickle.dumps({**dict.fromkeys(names, part), "UnpackBigParamInfor@@": about}, 2))
    with pytest.raises(UserError, match="one of them twice"):
        load_weights(path)


def test_numbers_and_empty_arrays_of_either_protocol_are_read(tmp_path):
    weights = {"count": np.int64(7), "none": np.zeros((0, 3), "float32")}
    for protocol in (2, 4):
        path = tmp_path / "a.pdparams"
        path.write_bytes(pickle.dumps(weights, protocol))
        loaded = load_weights(path)
        assert loaded["count"] == 7 and loaded["count"].shape == ()
        assert loaded["none"].shape == (0, 3) and loaded["none"].dtype == np.float32
