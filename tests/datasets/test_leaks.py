"""Pictures that both splits have, or nearly."""

import cv2
import numpy as np

from ppcds.datasets.leaks import leak_table, nearest_hashes, perceptual_hashes


def picture(seed):
    """Smooth colours, [64, 96, 3]."""
    small = np.random.RandomState(seed).randint(0, 256, (6, 9, 3), np.uint8)
    return cv2.resize(small, (96, 64), interpolation=cv2.INTER_CUBIC)


def test_the_nearest_hash_is_the_one_with_the_fewest_differing_bits(monkeypatch):
    monkeypatch.setattr("ppcds.datasets.leaks.BLOCK", 7)  # several blocks of both
    random = np.random.RandomState(0)
    among = random.randint(0, 2**63, 50, dtype=np.int64).astype(np.uint64)
    hashes = random.randint(0, 2**63, 20, dtype=np.int64).astype(np.uint64)
    hashes[3] = among[41] ^ np.uint64(0b101)
    rows, bits = nearest_hashes(hashes, among)
    counts = np.array([[bin(int(h) ^ int(a)).count("1") for a in among] for h in hashes])
    assert bits.tolist() == counts.min(axis=1).tolist()
    assert counts[np.arange(20), rows].tolist() == bits.tolist()
    assert (rows[3], bits[3]) == (41, 2)


def test_copies_and_near_copies_are_found_and_other_pictures_are_not(tmp_path):
    for seed in range(12):
        cv2.imwrite(str(tmp_path / f"train{seed}.png"), picture(seed))
        cv2.imwrite(str(tmp_path / f"val{seed}.png"), picture(100 + seed))
    (tmp_path / "val1.png").write_bytes((tmp_path / "train7.png").read_bytes())
    cv2.imwrite(str(tmp_path / "val2.jpg"), cv2.resize(picture(4), (48, 32)), [cv2.IMWRITE_JPEG_QUALITY, 60])
    cv2.imwrite(str(tmp_path / "val3.png"), cv2.convertScaleAbs(picture(5), alpha=0.9, beta=10))
    val = [f"val{i}.png" for i in range(12) if i != 2] + ["val2.jpg"]
    table = leak_table(tmp_path, [f"train{i}.png" for i in range(12)], val)
    pairs = {(row.val, row.train): row.same_bytes for row in table.itertuples()}
    assert pairs == {
        ("val1.png", "train7.png"): True,
        ("val2.jpg", "train4.png"): False,
        ("val3.png", "train5.png"): False,
    }
    assert table["bits"].is_monotonic_increasing


def test_hashes_have_all_their_bits(tmp_path):
    for seed in range(40):
        cv2.imwrite(str(tmp_path / f"{seed}.png"), picture(seed))
    hashes = perceptual_hashes(tmp_path, [f"{seed}.png" for seed in range(40)])
    bits = np.unpackbits(hashes.view(np.uint8)).reshape(40, 64)
    assert len(set(hashes.tolist())) == 40 and bits.any(axis=0).sum() > 55
