"""Photograph-like JPEGs in the layout of Sports10."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from ppcds.runtime import load_paddle

SIZES = ((360, 640), (720, 1280))  # height, width, in equal parts


def write_sports10(root: Path, files: int, images: int | None = None) -> Path:
    """A folder with `files` different JPEGs, shown as `images` images of train (hard links); returns it."""
    load_paddle()  # which the data sets are made of
    from ppcds.datasets import Sports10

    classes, random, images = Sports10.CLASSES, np.random.default_rng(0), images or files
    for name in classes:
        (root / name).mkdir(parents=True, exist_ok=True)
    filenames = []
    for i in range(images):
        name = classes[i % len(classes)]
        filenames.append(f"{name}/{i}.jpg")
        if i < files:
            picture = picture_like(random, *SIZES[i // len(classes) % 2])
            cv2.imwrite(str(root / filenames[i]), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        else:
            os.link(root / filenames[i % files], root / filenames[i])
    rows = [f"{filename},{filename.split('/')[0]}" for filename in filenames]
    for split, shown in (("train", rows), ("val", rows[: min(files, 20)])):
        (root / f"{split}_split.csv").write_text("\n".join(["filename,class", *shown]) + "\n")
    return root


def picture_like(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """BGR uint8 [H, W, 3]: smooth noise at several scales, the weaker the finer, as in photographs."""
    picture = np.full((height, width, 3), 128, np.float32)
    for cells, strength in ((4, 45), (12, 30), (40, 16), (120, 9), (320, 5)):
        grid = random.standard_normal((cells * height // width + 2, cells + 2, 3)).astype(np.float32)
        picture += strength * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return picture.clip(0, 255).astype(np.uint8)
