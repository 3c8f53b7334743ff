"""Names and headers of archives that no honest packer writes, and those that Windows writes."""

import gzip
import io
import struct
import sys
import tarfile
import zipfile

import pytest

from ppcds.datasets import archive
from ppcds.datasets.archive import archive_entries
from ppcds.datasets.archive_names import UNFINISHED
from ppcds.datasets.unpack import unpack
from ppcds.errors import UserError


def make_zip(path, *names, content=b"x"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return path


def unpacked(source, target):
    with archive_entries(source) as entries:
        unpack(entries, target)
    return sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())


def refuse(source, tmp_path, *words):
    """In one line with the archive's name, before anything is written anywhere."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError) as caught:
        unpacked(source, tmp_path / "root" / "target")
    message = str(caught.value)
    assert str(source) in message and "\n" not in message and len(message) < 700
    for word in words:
        assert word in message
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture
def make(request, make_tar):
    return {"zip": make_zip, "tar": make_tar}[request.param]


BOTH = pytest.mark.parametrize("make", ["zip", "tar"], indirect=True)


@BOTH
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["Tennis/a.jpg", "Tennis/A.JPG"], "'Tennis/A.JPG' and 'Tennis/a.jpg', one file on some systems"),
        (["Tennis/a.jpg", "TENNIS/a.jpg"], "one file on some systems"),
        (["caf\u00e9.jpg", "cafe\u0301.jpg"], "one file on some systems"),
        (["Tennis/a.jpg", "tennis"], "'tennis' is both a file and a folder"),
        ([f"{'x' * 256}/a.jpg"], "is too long for a file"),
        (["网" * 86], "is too long for a file"),  # 258 bytes
        (["/".join("x" * 200 for _ in range(6))], "is too long for a file"),
        ([UNFINISHED], "a name that unpacking uses itself"),
        ([f"S/{UNFINISHED}"], "a name that unpacking uses itself"),
        (["Tennis/\x07a.jpg"], "leaves the folder"),
        (["S/..\\..\\a.jpg"], "leaves the folder"),
    ],
)
def test_names_that_cannot_all_be_files_are_refused(names, words, make, tmp_path):
    refuse(make(tmp_path / "a.bin", *names), tmp_path, words)


@BOTH
def test_names_as_long_as_a_file_system_takes_are_unpacked(make, tmp_path):
    names = ["x" * 255, "/".join("y" * 150 for _ in range(6))]
    assert unpacked(make(tmp_path / "a.bin", *names), tmp_path / "target") == sorted(names)


@pytest.mark.parametrize("size", ["-5", "-1536"])
def test_a_file_of_less_than_no_bytes_is_refused(tmp_path, size):
    """From its end the next header would be looked for before it, again and again."""
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        folder = tarfile.TarInfo("d")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        info = tarfile.TarInfo("__MACOSX/a")
        info.pax_headers = {"size": size}
        archive.addfile(info)
    refuse(tmp_path / "a.tar", tmp_path, f"'__MACOSX/a' is of {size} bytes")


def test_a_chain_of_links_is_refused_at_its_first(make_tar, tmp_path):
    (tmp_path / "outside").mkdir()
    chain = [("out", tarfile.SYMTYPE, "../outside"), ("out/a.jpg", tarfile.REGTYPE, b"x")]
    refuse(make_tar(tmp_path / "a.tar", *chain), tmp_path, "'out' is a link or device")
    hard = [("a.jpg", tarfile.REGTYPE, b"x"), ("b.jpg", tarfile.LNKTYPE, "a.jpg")]
    refuse(make_tar(tmp_path / "b.tar", *hard), tmp_path, "'b.jpg' is a link or device")


def test_a_name_that_windows_wrote_in_gbk_is_refused_with_what_to_do(make_tar, tmp_path):
    plain = make_zip(tmp_path / "a.zip", "AAAA/a.jpg").read_bytes()
    (tmp_path / "a.zip").write_bytes(plain.replace(b"AAAA", "网球".encode("gbk")))
    refuse(tmp_path / "a.zip", tmp_path, "is not in UTF-8", "unzip -O GBK", "7-Zip: -mcu=on")
    with gzip.open(make_tar(tmp_path / "a.tar.gz", "AAAA/a.jpg")) as file:
        tar = file.read().replace(b"AAAA", "网球".encode("gbk"))
    total = sum(tar[:148]) + 8 * 32 + sum(tar[156:512])
    (tmp_path / "a.tar").write_bytes(tar[:148] + b"%06o\0 " % total + tar[156:])
    refuse(tmp_path / "a.tar", tmp_path, "is not in UTF-8")


def test_names_in_utf8_are_read_whether_or_not_the_zip_says_so(tmp_path):
    marked = make_zip(tmp_path / "marked.zip", "网球/é.jpg")
    assert unpacked(marked, tmp_path / "1") == ["网球/é.jpg"]
    plain = make_zip(tmp_path / "plain.zip", "AAAAAA/BB.jpg").read_bytes()
    unmarked = plain.replace(b"AAAAAA", "网球".encode()).replace(b"BB", "é".encode())
    (tmp_path / "unmarked.zip").write_bytes(unmarked)
    assert unpacked(tmp_path / "unmarked.zip", tmp_path / "2") == ["网球/é.jpg"]


def test_a_zip_whose_utf8_is_none_is_damaged(tmp_path):
    data = make_zip(tmp_path / "a.zip", "网球/a.jpg").read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace("网".encode(), b"\xff\xfe\xfd"))
    refuse(tmp_path / "a.zip", tmp_path, "is damaged, get it again")


def test_a_zero_byte_in_a_name_is_refused(tmp_path):
    data = make_zip(tmp_path / "a.zip", "a.jpgX.exe").read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace(b"jpgX", b"jpg\0"))
    refuse(tmp_path / "a.zip", tmp_path, "has a zero byte in its name")


def test_a_bomb_is_refused_with_its_sizes(tmp_path):
    """Ten gigabytes of zeros, declared by the directory of a zip that holds 11 kB."""
    data = bytearray(make_zip(tmp_path / "a.zip", "S/a.jpg", content=bytes(11 << 20)).read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", 4_000_000_000)
    (tmp_path / "a.zip").write_bytes(data)
    refuse(tmp_path / "a.zip", tmp_path, "with 'S/a.jpg' 0.01 MB would unpack to 4000.0 MB or more", "a bomb")


def test_a_tar_that_declares_ten_gigabytes_is_refused_before_they_are_read(tmp_path):
    header = tarfile.TarInfo("S/a.jpg")
    header.size = 10_000_000_000
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(header.tobuf() + bytes(100_000))
    refuse(tmp_path / "a.tar.gz", tmp_path, "'S/a.jpg'", "would unpack to 10000.0 MB or more", "a bomb")


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_an_extended_header_of_a_gigabyte_is_not_read(kind, tmp_path, monkeypatch):
    """tarfile reads such a header as a whole, whatever its size."""
    header = tarfile.TarInfo("long")
    header.type, header.size = kind, 2_000_000
    rest = header.tobuf() + bytes(2_000_000 + 448)
    for first in (b"", tarfile.TarInfo("a.jpg").tobuf()):
        with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
            file.write(first + rest + bytes(1024))
        refuse(tmp_path / "a.tar.gz", tmp_path, "the header of 'long' declares 2.0 MB")


def test_a_sparse_file_is_refused(tmp_path):
    header = tarfile.TarInfo("a.jpg")
    header.type, header.size = tarfile.GNUTYPE_SPARSE, 512
    (tmp_path / "a.tar").write_bytes(header.tobuf() + bytes(2048))
    refuse(tmp_path / "a.tar", tmp_path, "is a sparse file: pack it again without --sparse")


@BOTH
def test_more_files_than_memory_takes_are_refused(make, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_ENTRIES", 3)
    assert len(unpacked(make(tmp_path / "a.bin", "1", "2", "3"), tmp_path / "three")) == 3
    refuse(make(tmp_path / "b.bin", "1", "2", "3", "4"), tmp_path, "more than 3 files")


def test_folders_and_what_macos_adds_count_as_files_do(make_tar, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_ENTRIES", 3)
    for number, more in enumerate((["c/", "d/"], ["__MACOSX/._a", "S/.DS_Store"])):
        names = [*more, "a", "b"]
        refuse(make_zip(tmp_path / f"{number}.zip", *names), tmp_path, "more than 3 files and folders")
        refuse(make_tar(tmp_path / f"{number}.tar", *names), tmp_path, "more than 3 files and folders")
    (tmp_path / "folder" / "a" / "b" / "c" / "d").mkdir(parents=True)
    refuse(tmp_path / "folder", tmp_path, "more than 3 files and folders")


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_a_file_with_holes_is_refused_before_they_are_listed(version, tmp_path):
    """Of version 1.0 the list is in the file itself, here of a billion holes."""
    info = tarfile.TarInfo("GNUSparseFile.0/a.jpg")
    content = b"1000000000\n" + b"0\n" * 5000
    info.size = len(content)
    info.pax_headers = {
        "0.0": {"GNU.sparse.size": "9", "GNU.sparse.numblocks": "0"},
        "0.1": {"GNU.sparse.map": "0,1", "GNU.sparse.size": "9"},
        "1.0": {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a.jpg"},
    }[version]
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as made:
        made.addfile(info, io.BytesIO(content))
    refuse(tmp_path / "a.tar", tmp_path, "a.jpg' is a sparse file: pack it again without --sparse")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they are one file")
def test_names_alike_in_a_folder_are_refused_with_what_to_do(tmp_path):
    (tmp_path / "folder").mkdir()
    for name in ("a.jpg", "A.jpg"):
        (tmp_path / "folder" / name).write_bytes(b"x")
    said = "'a.jpg' and 'A.jpg', one file on some systems: give one of them another name, in the CSV too"
    refuse(tmp_path / "folder", tmp_path, said)


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2"])
def test_a_packed_tar_that_was_cut_is_refused_before_anything_is_written(mode, make_tar, tmp_path):
    files = [(f"{i}.jpg", tarfile.REGTYPE, bytes(range(256)) * 40) for i in range(20)]
    data = make_tar(tmp_path / "a.tar", *files, mode=mode).read_bytes()
    (tmp_path / "a.tar").write_bytes(data[: len(data) // 2])
    refuse(tmp_path / "a.tar", tmp_path, "")


def test_a_plain_tar_that_was_cut_is_refused_before_anything_is_written(make_tar, tmp_path):
    files = [(f"{i}.jpg", tarfile.REGTYPE, bytes(5000)) for i in range(3)]
    data = make_tar(tmp_path / "a.tar", *files, mode="w").read_bytes()
    (tmp_path / "a.tar").write_bytes(data[:8000])  # within the second
    refuse(tmp_path / "a.tar", tmp_path, "is damaged, get it again")


def test_a_zip64_is_a_zip(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w") as made,
        made.open("S/a.jpg", "w", force_zip64=True) as file,
    ):
        file.write(b"x" * 1000)
    assert unpacked(tmp_path / "a.zip", tmp_path / "target") == ["S/a.jpg"]


def test_a_zip_in_a_zip_is_a_file_like_any_other(tmp_path):
    inner = make_zip(tmp_path / "inner.zip", "../evil.jpg").read_bytes()
    make_zip(tmp_path / "a.zip", "S/inner.zip", content=inner)
    assert unpacked(tmp_path / "a.zip", tmp_path / "target") == ["S/inner.zip"]
