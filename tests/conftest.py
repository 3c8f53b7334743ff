"""Small data sets that several tests read."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ppcds.datasets import Sports10


@pytest.fixture
def tiny_sports10(tmp_path):
    """A folder laid out as Sports10: of each class four textured JPEGs of 60x100 for train, two for val."""
    root = tmp_path / "Sports10"
    random = np.random.RandomState(0)
    for split, count in (("train", 4), ("val", 2)):
        lines = ["filename,class"]
        for label, name in enumerate(Sports10.CLASSES):
            (root / name).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                picture = _texture(random, label)
                filename = f"{name}/{split}_{i}.jpg"
                cv2.imwrite(str(root / filename), picture[..., ::-1])
                lines.append(f"{filename},{name}")
        (root / f"{split}_split.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def _texture(random: np.random.RandomState, label: int) -> np.ndarray:
    """RGB [60, 100, 3]: stripes whose direction and colour tell the class, under noise."""
    rows, columns = np.mgrid[:60, :100]
    angle = np.pi * label / 10
    stripes = np.sin((rows * np.sin(angle) + columns * np.cos(angle)) / 4 + random.uniform(0, 6))
    color = np.array([label % 2, label // 2 % 2, label // 4 % 2]) * 120 + 60
    noise = random.normal(0, 10, (60, 100, 3))
    return (color + 50 * stripes[..., None] + noise).clip(0, 255).astype(np.uint8)
