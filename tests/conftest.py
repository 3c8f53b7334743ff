"""Small data sets that several tests read."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ppcds.config import load_recipe
from ppcds.datasets import Sports10


@pytest.fixture
def tiny_sports10(tmp_path):
    """A folder laid out as Sports10: of each class four textured JPEGs of 60x100 for train, two for val."""
    return _write_tiny_sports10(tmp_path / "Sports10")


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory):
    """The folder of a finished run on the tiny data set, read as layout csv: do not write into it."""
    from ppcds.engine.trainer import Trainer

    folder = tmp_path_factory.mktemp("trained")
    root = _write_tiny_sports10(folder / "Sports10")
    data = ["data.layout=csv", f"data.root={root}", "data.size=[32, 32]", "data.batch_size=8"]
    run = ["model.width=4", "optim.epochs=8", "optim.learning_rate=0.02", f"run.output_dir={folder / 'run'}"]
    Trainer(load_recipe("demo", [*data, *run])).train()
    return folder / "run"


@pytest.fixture(scope="session")
def teacher_run(tmp_path_factory):
    """The folder of a CDS run of ten classes that has learned nothing: recipe, checkpoint, best model."""
    from ppcds.engine.checkpoint import TrainState, save_checkpoint
    from ppcds.engine.optimizers import build_optimizer
    from ppcds.methods.build import build_method
    from ppcds.weights import save_weights

    folder = tmp_path_factory.mktemp("teacher")
    recipe = load_recipe("demo", ["model.width=4"])
    recipe.data.classes = list(Sports10.CLASSES)
    method = build_method(recipe, 10)
    recipe.save(folder / "recipe.yaml")
    optimizer = build_optimizer(recipe.optim, method.parameters())
    save_checkpoint(folder / "latest.safetensors", recipe, TrainState(), method, optimizer)
    for name in ("best_model.pdparams", "last_model.pdparams"):
        save_weights(method.deployed().state_dict(), folder / name)
    return folder


def _write_tiny_sports10(root: Path) -> Path:
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
