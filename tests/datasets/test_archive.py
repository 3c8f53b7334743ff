"""Archives: the hostile are refused before anything is written, the interrupted are continued."""

import os
import stat
import tarfile
import zipfile

import pytest

from ppcds.datasets import unpack as unpack_module
from ppcds.datasets.archive import archive_entries
from ppcds.datasets.unpack import UNFINISHED, unpack
from ppcds.errors import UserError

FILES = {
    "train_split.csv": b"filename,class\n",
    "Tennis/a.jpg": b"first" * 1000,
    "Tennis/b.jpg": b"second" * 1000,
}


def make_zip(path, files):
    """A zip of {name or ZipInfo: bytes}."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def zip_info(name, mode=0):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def unpack_archive(source, target):
    with archive_entries(source) as entries:
        unpack(entries, target)


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def refuse(source, tmp_path, message):
    """The archive is refused in one line that names it, and nothing appears anywhere."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=message) as raised:
        unpack_archive(source, tmp_path / "root" / "target")
    assert str(source) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "name",
    ["../evil.jpg", "Tennis/../../evil.jpg", "/tmp/evil.jpg", "C:/evil.jpg", "./C:evil.jpg", "..\\evil.jpg",
     "\\\\host\\share\\evil.jpg", "Tennis/new\nline.jpg"],
)  # fmt: skip
def test_names_that_lead_outside_are_refused(name, make_tar, tmp_path):
    refuse(make_zip(tmp_path / "a.zip", {**FILES, name: b"x"}), tmp_path, "leaves the folder")
    members = [("ok.jpg", tarfile.REGTYPE, b"x"), (name, tarfile.REGTYPE, b"x")]
    refuse(make_tar(tmp_path / "a.tar.gz", *members), tmp_path, "leaves the folder")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_in_a_zip_are_refused(kind, tmp_path):
    source = make_zip(tmp_path / "a.zip", {**FILES, zip_info("Tennis/link", kind | 0o777): b"/etc/passwd"})
    refuse(source, tmp_path, "link or device")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(kind, make_tar, tmp_path):
    members = [("ok.jpg", tarfile.REGTYPE, b"x"), ("Tennis", kind, "ok.jpg")]
    refuse(make_tar(tmp_path / "a.tar.gz", *members), tmp_path, "link or device")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_comes_twice_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("Tennis/a.jpg", b"1")
        archive.writestr("./Tennis//a.jpg", b"2")
    refuse(tmp_path / "a.zip", tmp_path, "'Tennis/a.jpg' twice")


def test_an_entry_that_is_a_file_and_a_folder_is_refused(tmp_path):
    refuse(
        make_zip(tmp_path / "a.zip", {"Tennis": b"x", "Tennis/a.jpg": b"x"}), tmp_path, "a file and a folder"
    )


def test_an_encrypted_zip_is_refused(tmp_path):
    data = bytearray(make_zip(tmp_path / "a.zip", {"a.jpg": b"x"}).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    refuse(tmp_path / "a.zip", tmp_path, "encrypted")


def test_bombs_are_refused(make_tar, tmp_path):
    zeros = bytes(11 << 20)
    refuse(make_zip(tmp_path / "a.zip", {"a.jpg": zeros}), tmp_path, "a bomb")
    refuse(make_tar(tmp_path / "a.tar.gz", ("a.jpg", tarfile.REGTYPE, zeros)), tmp_path, "a bomb")


def test_what_is_larger_than_the_free_space_is_refused(tmp_path, monkeypatch):
    source = make_zip(tmp_path / "a.zip", FILES)
    (tmp_path / "root" / "target").mkdir(parents=True)
    monkeypatch.setattr(unpack_module.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(UserError, match="0.00 GB are free"):
        unpack_archive(source, tmp_path / "root" / "target")
    assert tree(tmp_path / "root") == {}


@pytest.mark.parametrize("declared", [100, 1 << 20])
def test_a_declared_size_that_lies_stops_the_unpacking(declared, tmp_path):
    """In the central directory: less than there is, and more than there is."""
    data = bytearray(make_zip(tmp_path / "a.zip", {"a.jpg": os.urandom(5000)}).read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = declared.to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(UserError, match="a.zip is damaged, get it again"):
        unpack_archive(tmp_path / "a.zip", tmp_path / "target")
    assert tree(tmp_path / "target") == {}


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_an_archive_that_was_not_downloaded_whole_is_named(keep, tmp_path):
    whole = make_zip(tmp_path / "a.zip", FILES).read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(UserError, match="a.zip is no folder, .zip or .tar.gz"):
        unpack_archive(tmp_path / "a.zip", tmp_path / "target")


def test_a_damaged_entry_is_named_and_the_ones_before_it_stay_whole(tmp_path):
    source = make_zip(tmp_path / "a.zip", {"a.jpg": b"1", "b.jpg": os.urandom(5000), "c.jpg": b"3"})
    data = bytearray(source.read_bytes())
    data[data.index(b"b.jpg") + 1000] ^= 255
    source.write_bytes(data)
    with pytest.raises(UserError, match="b.jpg"):
        unpack_archive(source, tmp_path / "target")
    assert tree(tmp_path / "target") == {"a.jpg": b"1"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_interrupted_run_goes_on_and_replaces_what_is_broken(kind, make_tar, tmp_path, monkeypatch):
    if kind == "zip":
        source = make_zip(tmp_path / "a.zip", FILES)
    else:
        source = make_tar(tmp_path / "a.tar.gz", *((n, tarfile.REGTYPE, c) for n, c in FILES.items()))
    target = tmp_path / "target"
    replaced = []

    def stop_at_the_third(temporary, path, replace=os.replace):
        if len(replaced) == 2:
            raise KeyboardInterrupt
        replaced.append(path.name)
        replace(temporary, path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(unpack_module.os, "replace", stop_at_the_third)
        unpack_archive(source, target)
    assert sorted(tree(target)) == ["Tennis/a.jpg", "train_split.csv"]

    (target / UNFINISHED).write_bytes(b"left by a process that was killed")
    (target / "Tennis/a.jpg").write_bytes(b"FIRST" * 1000)  # the right size, other bytes
    untouched = (target / "train_split.csv").stat().st_mtime_ns
    unpack_archive(source, target)
    assert tree(target) == FILES
    assert (target / "train_split.csv").stat().st_mtime_ns == untouched

    half = FILES["Tennis/b.jpg"][:100]
    (target / "Tennis/b.jpg").write_bytes(half)
    unpack_archive(source, target)
    assert tree(target) == FILES


def test_what_macos_adds_is_left_out(tmp_path):
    extra = {"__MACOSX/Tennis/._a.jpg": b"x", "Tennis/.DS_Store": b"x"}
    unpack_archive(make_zip(tmp_path / "a.zip", {**FILES, **extra}), tmp_path / "target")
    assert tree(tmp_path / "target") == FILES


def test_names_with_backslashes_are_paths(tmp_path):
    source = make_zip(tmp_path / "a.zip", {"Sports10\\": b"", "Sports10\\Tennis\\a.jpg": b"x"})
    unpack_archive(source, tmp_path / "target")
    assert tree(tmp_path / "target") == {"Sports10/Tennis/a.jpg": b"x"}


def test_a_link_in_a_folder_is_not_followed(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "source" / "a.jpg").symlink_to(tmp_path / "secret")
    refuse(tmp_path / "source", tmp_path, "is a link")
