"""Files that are whole or absent, each step of the way and each word of what is said."""

import errno
import os
import shutil
import stat
from types import SimpleNamespace

import pytest

from ppcds.errors import UserError
from ppcds.files import NotWritten, errors_naming, link_whole, remove_leftovers, write_whole, written_whole


@pytest.fixture
def free(monkeypatch):
    """free(bytes): what every disk has left; free(None): none can tell."""

    def set_free(number):
        def usage(folder):
            if number is None:
                raise OSError(errno.ENOSYS, "Function not implemented")
            return SimpleNamespace(free=number)

        monkeypatch.setattr(shutil, "disk_usage", usage)

    return set_free


def told(error, path="run/latest", size=None):
    with pytest.raises(NotWritten) as caught, errors_naming(path, size):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_lack_of_room_is_told_with_what_is_needed_and_free(free, code):
    error = OSError(code, "No room")
    free(1_234_567)
    assert str(told(error, size=7654321)) == (
        "cannot write run/latest: No room (7,654,321 bytes are needed, 1,234,567 bytes are free in run)"
    )
    assert "(0 bytes are needed, " in str(told(error, size=0))
    assert " (room is needed, 1,234,567 bytes are free in run)" in str(told(error))
    free(None)
    assert str(told(error, size=1000)) == "cannot write run/latest: No room (1,000 bytes are needed)"


def test_the_room_is_that_of_the_files_own_disk(monkeypatch):
    disks = {"run": SimpleNamespace(free=5), ".": SimpleNamespace(free=7)}
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: disks[str(folder)])
    assert "5 bytes are free in run)" in str(told(OSError(errno.ENOSPC, "No room"), size=9))


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM])
def test_where_a_file_has_one_name_only_it_is_copied(tmp_path, monkeypatch, code):
    (tmp_path / "latest").write_bytes(b"content")

    def refuse(*_):
        raise OSError(code, "no second name")

    monkeypatch.setattr(os, "link", refuse)
    link_whole(tmp_path / "latest", tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == (tmp_path / "latest").read_bytes() == b"content"
    assert sorted(os.listdir(tmp_path)) == ["kept", "latest"]
    (tmp_path / "latest").write_bytes(b"later")
    assert (tmp_path / "kept").read_bytes() == b"content"


def test_another_error_of_the_system_names_the_file_and_its_reason():
    found = told(PermissionError(errno.EACCES, "Permission denied", "elsewhere"), size=3)
    assert str(found) == "cannot write run/latest: Permission denied"
    assert (found.errno, found.filename, found.strerror) == (errno.EACCES, "run/latest", "Permission denied")
    assert isinstance(found, UserError) and isinstance(found, OSError)
    assert str(told(OSError("disk on fire"))) == "cannot write run/latest: disk on fire"


def test_what_already_names_its_file_and_what_is_no_fault_of_the_disk_pass_unchanged():
    for error in (NotWritten(errno.EIO, "Input/output error", "inner"), ValueError("a bug")):
        with pytest.raises(type(error)) as caught, errors_naming("outer"):
            raise error
        assert caught.value is error


def test_a_file_is_made_beside_its_place_under_a_hidden_name_of_this_process(tmp_path):
    path = tmp_path / "deep" / "er" / "a.csv"
    with written_whole(path) as temporary:
        assert temporary == path.with_name(f".a.csv.{os.getpid()}.tmp")
        assert not path.exists() and not temporary.exists() and path.parent.is_dir()
        temporary.write_bytes(b"content")
        assert not path.exists()
    assert path.read_bytes() == b"content" and os.listdir(path.parent) == ["a.csv"]


def test_the_bytes_reach_the_disk_then_the_name_and_no_descriptor_stays_open(tmp_path, monkeypatch):
    order, replace, fsync = [], os.replace, os.fsync

    def told_fsync(descriptor):
        status = os.fstat(descriptor)
        order.append("folder" if stat.S_ISDIR(status.st_mode) else status.st_size)
        if order[-1] == "folder":
            assert os.path.samestat(status, os.stat(tmp_path))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", told_fsync)
    monkeypatch.setattr(os, "replace", lambda *paths: (order.append("name"), replace(*paths)))
    before = len(os.listdir("/proc/self/fd"))
    write_whole(tmp_path / "a", b"content")
    assert order == [7, "name", "folder"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_that_cannot_be_synchronised_costs_nothing(tmp_path, monkeypatch):
    """As on Windows and on some network file systems."""
    fsync = os.fsync

    def no_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", no_folders)
    before = len(os.listdir("/proc/self/fd"))
    write_whole(tmp_path / "a", b"content")
    assert (tmp_path / "a").read_bytes() == b"content"
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("error", [KeyError("a bug"), OSError(errno.EIO, "Input/output error")])
def test_after_an_error_the_old_file_is_there_and_no_other(tmp_path, error):
    write_whole(tmp_path / "a", b"old")
    expected = KeyError if isinstance(error, KeyError) else NotWritten
    with pytest.raises(expected) as caught, written_whole(tmp_path / "a", 9) as temporary:
        temporary.write_bytes(b"half")
        raise error
    if expected is NotWritten:
        assert caught.value.filename == str(tmp_path / "a")
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"old"


def test_the_size_of_a_file_is_told_by_each_way_to_write_it(tmp_path, monkeypatch, free):
    def full(*given):
        raise OSError(errno.ENOSPC, "No room")

    write_whole(tmp_path / "source", bytes(12345))
    free(7)
    monkeypatch.setattr(os, "replace", full)
    writers = (lambda: write_whole(tmp_path / "a", bytes(2345)), lambda: link_whole(tmp_path / "source", "a"))
    for write, size in zip(writers, ("2,345", "12,345")):
        with pytest.raises(NotWritten, match=rf"\({size} bytes are needed, 7 bytes are free"):
            write()


def test_a_link_is_another_name_and_replaces_what_was_there(tmp_path):
    for name in "ab":
        write_whole(tmp_path / name, name.encode())
    link_whole(tmp_path / "a", tmp_path / "b")
    assert os.path.samefile(tmp_path / "a", tmp_path / "b") and (tmp_path / "b").read_bytes() == b"a"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_only_temporary_files_of_ours_are_leftovers(tmp_path):
    kept = ["a.tmp", ".hidden", "latest.safetensors", ".tmp.keep"]
    for name in (*kept, ".latest.safetensors.7.tmp", ".a.12345.tmp"):
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


def test_a_leftover_that_another_removes_meanwhile_is_no_error(tmp_path, monkeypatch):
    (tmp_path / ".a.1.tmp").write_text("")
    found = list(tmp_path.glob(".*.tmp"))
    (tmp_path / ".a.1.tmp").unlink()
    monkeypatch.setattr(type(tmp_path), "glob", lambda *given: found)
    remove_leftovers(tmp_path)
