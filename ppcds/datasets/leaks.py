"""Pictures of a validation split that the training split has too, or nearly."""

from __future__ import annotations

import filecmp
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ppcds.datasets.images import read_image
from ppcds.errors import UserError

BITS = 64
NEAR = 6  # differing bits of 64 up to which two pictures count as nearly the same
BLOCK = 1 << 10  # hashes of val that are compared at once
POPULATION = np.array([bin(i).count("1") for i in range(1 << 16)], np.uint8)


def perceptual_hashes(root: Path, filenames: list[str]) -> np.ndarray:
    """uint64 [N]: the signs of 64 low frequencies of each picture in grey (pHash, imagehash.phash).

    The same for a picture that was resized, compressed again or brightened a little. Raises UserError if
    imagehash is missing or an image cannot be read.
    """
    try:
        import imagehash
        from PIL import Image
    except ImportError:
        raise UserError('nearly equal pictures are found by imagehash: pip install "ppcds[report]"') from None
    hashes = np.zeros(len(filenames), np.uint64)
    for i, filename in enumerate(tqdm(filenames, "Hashing", unit="image", mininterval=0.5, disable=None)):
        bits = imagehash.phash(Image.fromarray(read_image(root / filename))).hash
        hashes[i] = np.packbits(bits.reshape(-1)).view(np.uint64)[0]
    return hashes


def nearest_hashes(hashes: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(row in `among`, differing bits) of the hash nearest to each of `hashes` (uint64 [N], [M], M > 0)."""
    rows, bits = np.zeros(len(hashes), np.int64), np.full(len(hashes), BITS + 1, np.int64)
    for start in range(0, len(among), BLOCK):
        part = among[start : start + BLOCK]
        for first in range(0, len(hashes), BLOCK):
            block = slice(first, first + BLOCK)
            differing = (hashes[block, None] ^ part[None]).view(np.uint16).reshape(-1, len(part), 4)
            counts = POPULATION[differing].sum(axis=2, dtype=np.int64)
            best = counts.argmin(axis=1)
            found = counts[np.arange(len(best)), best]
            better = found < bits[block]
            rows[block] = np.where(better, start + best, rows[block])
            bits[block] = np.where(better, found, bits[block])
    return rows, bits


def leak_table(root: Path, train: list[str], val: list[str], near: int = NEAR) -> pd.DataFrame:
    """The images of val with a nearly equal one in train; nearest first.

    Columns: val, train (names), bits that differ, same_bytes (the files are equal). 0 bits are mostly the
    same picture, compressed or resized otherwise; pictures of one colour throughout are all alike.
    """
    train_hashes, val_hashes = perceptual_hashes(root, train), perceptual_hashes(root, val)
    rows, bits = nearest_hashes(val_hashes, train_hashes)
    table = pd.DataFrame({"val": val, "train": [train[row] for row in rows], "bits": bits})
    table = table[table["bits"] <= near].sort_values(["bits", "val"], ignore_index=True)
    table["same_bytes"] = [
        filecmp.cmp(root / pair.val, root / pair.train, shallow=False) for pair in table.itertuples()
    ]
    return table
