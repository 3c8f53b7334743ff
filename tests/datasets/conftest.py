"""A packed data set, made once and copied for every test that changes it."""

from __future__ import annotations

import io
import shutil
import tarfile

import cv2
import numpy as np
import pytest

from ppcds.datasets import Sports10
from ppcds.datasets.cache import make_packed


@pytest.fixture(scope="session")
def packed_once(tmp_path_factory):
    """Pictures of noise, 18 for train, packed as 24x32."""
    root = tmp_path_factory.mktemp("packed") / "Sports10"
    random = np.random.RandomState(0)
    rows = []
    for name in ("Hockey", "Tennis"):
        (root / name).mkdir(parents=True)
        for i in range(9):
            picture = random.randint(0, 256, (60, 100, 3), dtype=np.uint8)
            cv2.imwrite(str(root / name / f"{i}.jpg"), picture)
            rows.append(f"{name}/{i}.jpg,{name}\n")
    (root / "train_split.csv").write_text("".join(["filename,class\n", *rows]))
    make_packed(Sports10(root, size=(24, 32)))
    return root


@pytest.fixture
def packed_sports10(packed_once, tmp_path):
    """A copy of that folder, its packed images fresh."""
    return shutil.copytree(packed_once, tmp_path / "Packed")


@pytest.fixture(scope="session")
def make_tar():
    """make_tar(path, *entries): a tar of names, or of (name, type, content or target of a link)."""

    def make(path, *entries, mode="w:gz", tar_format=tarfile.GNU_FORMAT):
        with tarfile.open(path, mode, format=tar_format) as archive:
            for entry in entries:
                name, kind, content = (entry, tarfile.REGTYPE, b"x") if isinstance(entry, str) else entry
                info = tarfile.TarInfo(name)
                info.type = kind
                if isinstance(content, bytes):
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
                else:
                    info.linkname = content
                    archive.addfile(info)
        return path

    return make
