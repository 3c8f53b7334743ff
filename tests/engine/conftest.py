"""A recipe that trains in seconds."""

import pytest

from ppcds.config import load_recipe


@pytest.fixture
def tiny_recipe(tiny_sports10, tmp_path):
    """make(*overrides): the demo recipe on the tiny data set, five steps an epoch, into tmp_path/run."""

    def make(*overrides):
        small = [
            "data.layout=sports10",
            f"data.root={tiny_sports10}",
            "data.size=[32, 32]",
            "data.batch_size=8",
        ]
        tiny = ["model.width=2", "optim.epochs=2", f"run.output_dir={tmp_path / 'run'}", "run.log_steps=2"]
        return load_recipe("demo", [*small, *tiny, *overrides])

    return make
