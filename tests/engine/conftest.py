"""A recipe that trains in seconds, and what happens to its runs."""

import signal

import pytest
from scaler_stand_in import let_scaler_work_on_a_processor

from ppcds.config import load_recipe
from ppcds.engine.stop import Stopped
from ppcds.weights import load_weights


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


@pytest.fixture
def stop_after():
    """stop_after(trainer, steps): train, and be asked to stop in the step of that number, from 1."""

    def stop(trainer, steps):
        after_step, done = trainer.method.after_step, []

        def after_step_then_stop():
            after_step()
            done.append(1)
            if len(done) == steps:
                signal.raise_signal(signal.SIGTERM)

        trainer.method.after_step = after_step_then_stop
        with pytest.raises(Stopped):
            trainer.train()

    return stop


@pytest.fixture
def scaler_anywhere(monkeypatch):
    """Let Paddle's scaler work on a processor."""
    let_scaler_work_on_a_processor(monkeypatch.setattr)


@pytest.fixture
def same_run():
    """same_run(one, other): whether two run folders hold the same weights and metrics, byte for byte."""

    def same(one, other):
        first, second = (load_weights(folder / "latest.safetensors") for folder in (one, other))
        assert first.keys() == second.keys()
        for name, array in first.items():
            assert array.tobytes() == second[name].tobytes(), name
        files = ("best_model.pdparams", "last_model.pdparams", "metrics.csv")
        return all((one / name).read_bytes() == (other / name).read_bytes() for name in files)

    return same
