"""Where the data set of an archive or a folder is found, and where it is put."""

import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from ppcds.datasets import prepare
from ppcds.datasets.prepare import place
from ppcds.errors import UserError


def test_the_official_archive_of_cifar10_is_converted(tmp_path, monkeypatch):
    converted = []
    monkeypatch.setattr(prepare, "convert_cifar10", lambda *paths: converted.append(paths) or Path("CIFAR10"))
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(b"x")
    with tarfile.open(tmp_path / "any_name.tgz", "w:gz") as archive:
        archive.add(folder, folder.name)
    for source in (tmp_path / "any_name.tgz", folder, tmp_path):
        assert place(source, tmp_path / "d") == Path("CIFAR10")
        assert converted.pop() == (source, tmp_path / "d")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Tennis/a.jpg"], "no train_split.csv"),
        (["S/train_split.csv", "S/Tennis/a.jpg"], "no val_split.csv"),
        (["S/train_split.csv", "T/train_split.csv"], "several data sets.*S, T"),
        (["S/train_split.csv", "S/val_split.csv", "../x.jpg"], "leaves the folder"),
    ],
)
def test_an_archive_of_something_else_is_refused_before_anything_is_written(names, message, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    with pytest.raises(UserError, match=message):
        place(tmp_path / "a.zip", tmp_path / "d")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("name", ["..", "a/b", "/tmp/x", "C:x", ""])
def test_a_name_that_is_no_single_folder_is_refused(name, tiny_sports10, tmp_path):
    with pytest.raises(UserError, match="--name"):
        place(tiny_sports10, tmp_path / "d", name)


def test_a_folder_is_not_copied_into_itself(tiny_sports10):
    with pytest.raises(UserError, match="lies inside"):
        place(tiny_sports10, tiny_sports10 / "data")


def make_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_an_archive_in_an_archive_is_told(tmp_path):
    source = make_zip(tmp_path / "a.zip", {"download/Sports10.tar.gz": b"x", "readme.txt": b"x"})
    said = "no train_split.csv.*; it holds the archive download/Sports10.tar.gz: unpack .*a.zip and give that"
    with pytest.raises(UserError, match=said):
        place(source, tmp_path / "d")


def test_packed_images_of_an_archive_are_not_unpacked(tmp_path):
    """They are made of other files, and what they hold cannot be checked."""
    files = {
        f"S/{name}": b"x" for name in ("train_split.csv", "val_split.csv", "packed/train_8x8/images.npy")
    }
    folder = place(make_zip(tmp_path / "a.zip", files), tmp_path / "d")
    assert sorted(path.name for path in folder.iterdir()) == ["train_split.csv", "val_split.csv"]


def test_a_pipe_in_a_folder_is_not_read(tmp_path):
    source = tmp_path / "S"
    source.mkdir()
    for split in ("train", "val"):
        (source / f"{split}_split.csv").write_text("filename,class\n")
    os.mkfifo(source / "pipe.jpg")
    folder = place(source, tmp_path / "d")
    assert sorted(path.name for path in folder.iterdir()) == ["train_split.csv", "val_split.csv"]
