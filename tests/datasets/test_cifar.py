from __future__ import annotations

import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

from ppcds.datasets import CIFAR10, convert_cifar10
from ppcds.errors import UserError

BATCHES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]


def python2_pickle(pixels: np.ndarray, labels: list[int]) -> bytes:
    """A batch as CIFAR-10's authors wrote it: protocol 2 of Python 2, where bytes are strings."""

    def text(data: bytes) -> bytes:  # BINSTRING, which Python 3 cannot write
        return b"T" + struct.pack("<i", len(data)) + data

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    dtype = b"cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1) + b"\x87R"
    dtype += b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    shape = number(pixels.shape[0]) + number(pixels.shape[1]) + b"\x86"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number(0) + b"\x85" + text(b"b")
    array += b"\x87R(" + number(1) + shape + dtype + b"\x89" + text(pixels.tobytes()) + b"tb"
    items = text(b"data") + array + text(b"labels") + b"](" + b"".join(map(number, labels)) + b"e"
    return b"\x80\x02}(" + items + b"u."


@pytest.fixture
def batches():
    """Six batches of four images: {name: (pixels [4, 3072], labels)}."""
    random = np.random.RandomState(0)
    return {
        name: (random.randint(0, 256, (4, 3072), dtype=np.uint8), random.randint(0, 10, 4).tolist())
        for name in BATCHES
    }


@pytest.fixture
def folder(tmp_path, batches):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name, (pixels, labels) in batches.items():
        (folder / name).write_bytes(python2_pickle(pixels, labels))
    return folder


def archive_of(folder):
    path = folder.parent / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, folder.name)
    return path


@pytest.mark.parametrize("source", ["archive", "folder", "parent"])
def test_every_pixel_and_label_arrives(tmp_path, folder, batches, source):
    given = {"archive": archive_of(folder), "folder": folder, "parent": folder.parent}[source]
    made = convert_cifar10(given, tmp_path / "d")
    assert made == tmp_path / "d" / "CIFAR10"
    for split, names in (("train", BATCHES[:5]), ("val", BATCHES[5:])):
        data = CIFAR10(made, split)
        pixels = np.concatenate([batches[name][0] for name in names]).reshape(-1, 3, 32, 32)
        assert data.labels.tolist() == [label for name in names for label in batches[name][1]]
        for i, expected in enumerate(pixels):
            np.testing.assert_array_equal(data.load_image(i), expected.transpose(1, 2, 0))
    assert data[0][0][0].shape == (3, 32, 32)
    assert data.filenames[3] == f"test/{CIFAR10.CLASSES[data.labels[3]]}/00003.png"


def test_batches_pickled_by_python_3_are_read_too(tmp_path, folder, batches):
    for name, (pixels, labels) in batches.items():
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": labels}, protocol=2))
    assert len(CIFAR10(convert_cifar10(folder, tmp_path))) == 20


def test_a_second_conversion_gives_the_same(tmp_path, folder):
    first = (convert_cifar10(folder, tmp_path) / "train_split.csv").read_bytes()
    assert (convert_cifar10(folder, tmp_path) / "train_split.csv").read_bytes() == first


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_batch_that_would_run_code_is_refused(tmp_path, folder):
    (folder / "data_batch_3").write_bytes(pickle.dumps({"data": Malicious(tmp_path / "proof"), "labels": []}))
    with pytest.raises(UserError, match="no usable data_batch_3"):
        convert_cifar10(folder, tmp_path / "d")
    assert not (tmp_path / "proof").exists()
    assert not (tmp_path / "d").exists()  # nothing half-written


def test_missing_damaged_and_wrong_batches_are_named(tmp_path, folder, batches):
    pixels, labels = batches["test_batch"]
    for content in (
        b"",
        b"no pickle",
        python2_pickle(pixels, labels)[:5000],
        python2_pickle(pixels, [10] * 4),
        python2_pickle(pixels[:, :300], labels),
        python2_pickle(pixels, labels[:2]),
        pickle.dumps([1, 2]),
        pickle.dumps({"data": [0], "labels": [0]}),
    ):
        (folder / "test_batch").write_bytes(content)
        with pytest.raises(UserError, match="no usable test_batch of CIFAR-10"):
            convert_cifar10(folder, tmp_path / "d")
    (folder / "test_batch").unlink()
    with pytest.raises(UserError, match="no usable test_batch"):
        convert_cifar10(folder, tmp_path / "d")
    with pytest.raises(UserError, match="no usable test_batch"):
        convert_cifar10(archive_of(folder), tmp_path / "d")


def test_what_is_no_archive_is_named(tmp_path):
    (tmp_path / "cifar.zip").write_bytes(b"PK")
    for path in (tmp_path / "cifar.zip", tmp_path / "none.tar.gz"):
        with pytest.raises(UserError, match=r"is not cifar-10-python\.tar\.gz or its folder"):
            convert_cifar10(path, tmp_path / "d")


def test_a_truncated_archive_is_refused(tmp_path, folder):
    path = archive_of(folder)
    path.write_bytes(path.read_bytes()[:-20000])
    with pytest.raises(UserError, match="cifar-10-python.tar.gz"):
        convert_cifar10(path, tmp_path / "d")


def test_a_link_in_the_archive_is_not_followed(tmp_path, folder):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in BATCHES:
            link = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, str(folder / name)
            archive.addfile(link)
    path = tmp_path / "links.tar.gz"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(UserError, match="no usable data_batch_1"):
        convert_cifar10(path, tmp_path / "d")
