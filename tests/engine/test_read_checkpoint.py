"""What is said of a checkpoint whose words are not those of a run."""

import json

import numpy as np
import pytest

from ppcds.engine.checkpoint import load_arrays, read_checkpoint
from ppcds.errors import UserError
from ppcds.weights import load_weights, read_metadata, save_weights


@pytest.fixture
def changed(teacher_run, tmp_path):
    """changed(**keys of the position): a checkpoint with them, and what stands before what is said of it."""

    def change(text=None, **keys):
        metadata = read_metadata(teacher_run / "latest.safetensors")
        state = json.dumps({**json.loads(metadata["state"]), **keys}) if text is None else text
        path = tmp_path / "latest.safetensors"
        save_weights(load_weights(teacher_run / "latest.safetensors"), path, {**metadata, "state": state})
        return path

    return change


def said(act, path):
    with pytest.raises(UserError) as caught:
        act(path)
    start, message = f"{path}: ", str(caught.value)
    assert message.startswith(start)
    return message[len(start) :]


def test_a_folder_without_a_checkpoint_is_no_run(tmp_path):
    with pytest.raises(UserError) as caught:
        read_checkpoint(tmp_path / "latest.safetensors")
    assert str(caught.value) == (
        f"{tmp_path} is not a run that can be resumed: there is no latest.safetensors in it"
    )


def test_a_scaler_is_whole_or_absent(changed):
    scaler = {"scale": 1024.0, "incr_count": 3, "decr_count": 0}
    assert read_checkpoint(changed(scaler=scaler)).state.scaler == scaler
    assert read_checkpoint(changed(scaler={})).state.scaler == {}
    del scaler["scale"]
    found = said(read_checkpoint, changed(scaler=scaler))
    assert found == "its position has a scaler of 'incr_count, decr_count'"
    assert said(read_checkpoint, changed(scaler={"x" * 99: 1})).endswith(f"scaler of {'x' * 80!r}")


def test_another_number_of_ranks_is_refused_with_both(changed):
    checkpoint = read_checkpoint(changed(ranks=2))
    found = said(lambda _: load_arrays(checkpoint), checkpoint.path)
    assert found == (
        "the run began with 2 rank(s) and this is 1: their sums round differently, so go on with as many "
        "processes as before (--nproc_per_node)"
    )


def test_the_place_of_what_is_wrong_is_named_as_its_author_wrote_it(changed):
    row = {"epoch": 1, "train_loss": "low"}
    found = said(read_checkpoint, changed(history=[row], epoch=1))
    assert found == "its position is not that of a run: 'history.0.train_loss' is not as runs have it"
    found = said(read_checkpoint, changed(**{"y" * 200: 1}))
    assert found == f"its position is not that of a run: {'y' * 80!r} is not as runs have it"


def test_what_is_no_json_is_told_in_one_line(changed):
    found = said(read_checkpoint, changed(text='{"epoch":\n\n 1,'))
    assert found.startswith("its position cannot be read: Expecting property name") and "line 3" in found
    assert "\n" not in found and "  " not in found
    deep = said(read_checkpoint, changed(text="[" * 100_000))
    assert (
        deep.startswith("its position cannot be read: maximum recursion depth exceeded") and len(deep) < 400
    )


def test_what_lies_in_memory_otherwise_is_the_same_to_a_checksum():
    from ppcds.weights import checksum

    array = np.arange(12, dtype="float32").reshape(3, 4)
    assert checksum({"a": np.asfortranarray(array)}) == checksum({"a": array}) != checksum({"a": array.T})
