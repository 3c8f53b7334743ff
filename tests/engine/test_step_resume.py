"""A run that saves memory or time goes on exactly too."""

import json

import pytest

from ppcds.engine.trainer import Trainer
from ppcds.weights import load_weights, read_metadata


def prepare(recipe, resume=False, every=2):
    trainer = Trainer(recipe, resume)
    if trainer.step.precision.scaler:
        trainer.step.precision.scaler.set_incr_every_n_steps(every)
        if not resume:
            trainer.step.precision.restore({"scale": 2.0**126, "incr_count": 0, "decr_count": 0})
    return trainer


KEYS = [
    ("run.amp=fp16",),
    ("run.amp=fp16", "optim.accumulate=2", "model.recompute=[2]"),
    ("run.to_static=true",),
    ("model.channels_last=true",),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("keys", KEYS, ids=" ".join)
def test_a_stopped_run_ends_as_the_undisturbed_one(tiny_recipe, tmp_path, stop_after, scaler_anywhere, keys):
    names = ("run", "whole")
    recipes = [tiny_recipe("model.width=4", f"run.output_dir={tmp_path / name}", *keys) for name in names]
    prepare(recipes[1]).train()
    stop_after(prepare(recipes[0]), 6)
    prepare(recipes[0], resume=True).train()
    ours, theirs = (tmp_path / name / "latest.safetensors" for name in names)
    states = [json.loads(read_metadata(path)["state"]) for path in (ours, theirs)]
    assert states[0] == states[1]
    assert bool(states[0]["scaler"]) == ("run.amp=fp16" in keys)
    first, second = load_weights(ours), load_weights(theirs)
    for name, array in first.items():
        assert array.tobytes() == second[name].tobytes(), name
    if states[0]["scaler"]:
        scales = [row["noted_loss_scale"] for row in states[0]["history"]]
        assert len(set(scales)) > 1 and states[0]["scaler"]["scale"] != 2.0**126  # it fell and rose
    if keys[0] in ("run.to_static=true", "model.channels_last=true"):
        assert "convolutions by Paddle's own kernels" in (tmp_path / "run" / "train.log").read_text()
