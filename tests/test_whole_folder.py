"""Folders appear whole, replace only their own kind, and stay what they were after an error."""

import os

import pytest

from ppcds.errors import UserError
from ppcds.files import NotWritten
from ppcds.whole_folder import folder_written_whole

KNOWN = ("a.txt", "inner")


def write(folder, text, known=KNOWN):
    with folder_written_whole(folder, known) as inside:
        (inside / "inner").mkdir()
        for name in ("a.txt", "inner/b.txt"):
            (inside / name).write_text(text)


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.txt")}


def test_a_folder_of_the_same_kind_is_replaced_as_a_whole(tmp_path):
    folder = tmp_path / "new" / "folder"
    write(folder, "first")
    with folder_written_whole(folder, KNOWN) as inside:
        (inside / "a.txt").write_text("second")
        assert content(folder) == {"a.txt": "first", "inner/b.txt": "first"}
    assert content(folder) == {"a.txt": "second"}
    assert os.listdir(tmp_path / "new") == ["folder"]


@pytest.mark.parametrize("before", [None, "first"])
def test_after_an_error_it_is_what_it_was(tmp_path, before):
    if before:
        write(tmp_path / "folder", before)
    with pytest.raises(RuntimeError), folder_written_whole(tmp_path / "folder", KNOWN) as inside:
        (inside / "a.txt").write_text("half")
        raise RuntimeError
    assert os.listdir(tmp_path) == (["folder"] if before else [])
    assert not before or content(tmp_path / "folder") == {"a.txt": before, "inner/b.txt": before}


def test_if_the_new_one_cannot_take_its_place_the_former_comes_back(tmp_path, monkeypatch):
    folder, rename = tmp_path / "folder", os.rename
    write(folder, "first")

    def refuse(source, target):
        if str(source).endswith(".tmp"):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(NotWritten, match="folder: No space left on device"):
        write(folder, "second")
    assert content(folder) == {"a.txt": "first", "inner/b.txt": "first"}
    assert os.listdir(tmp_path) == ["folder"]


def test_what_somebody_else_has_put_there_is_not_touched(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"holds other files \(file\): name a folder that is new or empty"):
        write(tmp_path, "ours")
    with pytest.raises(UserError, match="file is a file: name a folder"):
        write(tmp_path / "file", "ours")
    assert sorted(os.listdir(tmp_path)) == ["file", "notes.txt"]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder", "first")
    assert content(tmp_path / "folder")["a.txt"] == "first"
