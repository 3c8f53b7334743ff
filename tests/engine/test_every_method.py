"""Every method through the trainer: going on exactly, what stays frozen, and what a run tells of it."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from visualdl import LogReader

from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.methods import METHODS
from ppcds.weights import load_weights, read_metadata, save_weights

STEPS = 3  # an epoch
HEAD = ("model.head={widths: [16, 8]}",)
LARS = ("optim.name=lars", "optim.schedule.name=cosine", "optim.schedule.warmup_epochs=1")
ADAM = ("optim.name=adam", "optim.learning_rate=0.003")
PLAIN = "{min_area: 0.5, brightness: 0.3, jitter: 0.1}"  # an augmentation of whole batches
VIEW = "[RandomHorizontalFlip, {ColorJitter: {brightness: 0.4}}, ToArray]"
RUNS = {  # name: overrides of the recipe; the first word is the method
    "byol": (*HEAD, *ADAM, "optim.schedule.name=constant", "method.predictor_width=16", "method.tau=0.9"),
    "byol rising tau": (*HEAD, *LARS, "method.tau=0.9", "method.tau_schedule=cosine"),
    "cds": ("method.weight_schedule=cosine", "optim.schedule.gamma=0.5"),
    "cds semi-supervised": ("data.label_fraction=0.5", "data.labelled_per_batch=4", "method.mlp=[8]"),
    "cds_distillation": ("method.teacher_weights=TEACHER/latest.safetensors", "model.width=2"),
    "deep_supervision": ("method.kl_weight=1", *LARS),
    "distillation": ("method.teacher_weights=TEACHER/best_model.pdparams", "method.alpha=0.5", *ADAM),
    "linear": ("model.pretrained=TEACHER/best_model.pdparams",),
    "moco": (*HEAD, *LARS, "method.queue_size=20"),  # no multiple of the batch: it is filled in turns
    "simclr": (*HEAD, *ADAM, "optim.schedule.name=cosine"),
    "simclr_online_probe": (
        *(f"method.{name}={PLAIN}" for name in ("contrastive", "classification")),
        *("data.label_fraction=0.5", "data.labelled_per_batch=4", "model.name=conv4"),
        *("views.train=[[ToArray]]", "views.eval=[ToArray]", *ADAM),
    ),
    "supcon": (*HEAD, "optim.learning_rate=0.1"),
    "supcon 3 views": (*HEAD, "method.views=3", f"views.train=[[ToArray], [ToArray], {VIEW}]"),
    "supervised": (f"method.augmentation={PLAIN}", *ADAM, "optim.schedule.name=cosine"),
    "supervised 2 views": ("method.views=2",),
}  # fmt: skip
OWN_STATE = {  # what a method keeps beside what it deploys, by the beginnings of names
    "byol": ("target.", "predictor."),
    "cds": ("network.heads.",),
    "cds_distillation": ("cds.network.heads.", "adapters."),
    "deep_supervision": ("network.classifiers.",),
    "moco": ("key_encoder.", "queue", "oldest"),
    "simclr_online_probe": ("projection.",),
}
REPRESENTATIONS = [name for name in RUNS if METHODS[name.split()[0]].representation]


@pytest.fixture
def make(tiny_recipe, teacher_run, tmp_path):
    """make(name, *overrides): the trainer of that run of RUNS, three steps an epoch, into tmp_path/run."""

    def make(name, *overrides, resume=False, teacher=teacher_run):
        own = [override.replace("TEACHER", str(teacher)) for override in RUNS[name]]
        small = [f"method.name={name.split()[0]}", "model.width=4", "data.train_images=24"]
        return Trainer(tiny_recipe(*small, *own, *overrides), resume)

    return make


def test_every_method_optimiser_and_schedule_is_among_them(make):
    assert {name.split()[0] for name in RUNS} == set(METHODS)
    chosen = [make(name).recipe.optim for name in RUNS]
    assert {optim.name for optim in chosen} == {"momentum", "lars", "adam"}
    assert {optim.schedule.name for optim in chosen} == {"multistep", "cosine", "constant"}


def test_pretraining_goes_to_its_end_without_any_label(make, tiny_sports10, tmp_path):
    table = tiny_sports10 / "train_split.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *(line.split(",")[0] + "," for line in lines[1:])]) + "\n")
    row = make("simclr").train()
    assert "eval_accuracy" not in row and row["train_nt_xent"] > 0
    best, last = ((tmp_path / "run" / f"{name}_model.pdparams").read_bytes() for name in ("best", "last"))
    assert best == last


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_is_stopped_ends_as_the_undisturbed_one(make, stop_after, tmp_path, name):
    run, whole = tmp_path / "run", tmp_path / "whole"
    trainer = make(name)
    first = {key: value.numpy().copy() for key, value in trainer.method.state_dict().items()}
    assert trainer.steps == STEPS
    trainer.train()
    run.rename(whole)
    stop_after(make(name), STEPS + 2)
    stopped = json.loads(read_metadata(run / "latest.safetensors")["state"])
    assert (stopped["epoch"], stopped["step"]) == (1, 2)
    make(name, resume=True).train()

    ours, theirs = (load_weights(folder / "latest.safetensors") for folder in (run, whole))
    assert ours.keys() == theirs.keys()
    for key, array in ours.items():
        assert array.tobytes() == theirs[key].tobytes(), key
    for file in ("metrics.csv", "best_model.pdparams", "last_model.pdparams"):
        assert (run / file).read_bytes() == (whole / file).read_bytes(), file
    states = [read_metadata(folder / "latest.safetensors")["state"] for folder in (run, whole)]
    assert states[0] == states[1]

    assert any(key.startswith("optimizer.") for key in ours)
    for start in OWN_STATE.get(name.split()[0], ()):
        kept = [key for key in first if key.startswith(start)]
        assert kept, start
        for key in kept:
            assert not np.array_equal(ours[f"method.{key}"], first[key]), key
    assert not [key for key in ours if "teacher" in key or "outside" in key]


@pytest.mark.parametrize("name", ["distillation", "cds_distillation"])
def test_a_teacher_whose_file_was_changed_since_is_refused(make, stop_after, teacher_run, tmp_path, name):
    own = shutil.copytree(teacher_run, tmp_path / "teacher")
    stop_after(make(name, teacher=own), 1)
    assert "the teacher stays as it is (SHA-256" in (tmp_path / "run" / "train.log").read_text()
    for file, key in (
        ("best_model.pdparams", "fc.bias"),
        ("latest.safetensors", "method.network.backbone.fc.bias"),
    ):
        weights, metadata = load_weights(own / file), read_metadata(own / file)
        weights[key] = weights[key] + np.float32(1e-6)
        save_weights(weights, own / file, metadata)
    with pytest.raises(UserError, match="the teacher is not what it was when the run began"):
        make(name, resume=True, teacher=own)


def test_a_frozen_encoder_that_moves_ends_the_run_after_its_epoch(make, tmp_path):
    trainer = make("linear")
    statistic = trainer.method.backbone.layer3[0].bn1._mean
    trainer.method.after_step = lambda: statistic.set_value(statistic + 1e-6)
    with pytest.raises(UserError, match="the encoder is not what it was when the run began"):
        trainer.train()
    assert not (tmp_path / "run" / "metrics.csv").exists()


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_a_representation_is_told_by_its_neighbours_and_its_health(make, tmp_path, name):
    make(name, "optim.epochs=1", "data.train_images=16").train()
    (row,) = pd.read_csv(tmp_path / "run" / "metrics.csv").to_dict("records")
    assert row["eval_accuracy"] in [right / 20 for right in range(21)]
    assert 1 <= row["noted_embedding_effective_rank"] <= 8 and row["noted_embedding_uniformity"] < 0
    assert "train_accuracy" not in row
    log = (tmp_path / "run" / "train.log").read_text()
    assert "eval_accuracy is that of the weighted nearest neighbours" in log
    assert "noted_" not in log  # a prefix for columns


def test_visualdl_has_what_is_noted_once_a_line_of_the_log_and_accuracies_once_an_epoch(make, tmp_path):
    make("simclr").train()  # lines after steps 2 and 3 of each epoch
    reader = LogReader(file_path=str(next((tmp_path / "run" / "vdl").iterdir())))
    for tag, steps in (("noted/contrastive_accuracy", [2, 3, 5, 6]), ("eval/accuracy", [3, 6])):
        assert [record.id for record in reader.get_data("scalar", tag)] == steps


def test_what_a_method_notes_is_averaged_over_the_epoch(make, tmp_path):
    trainer, seen = make("byol rising tau"), []
    after_step = trainer.method.after_step

    def after_step_and_look():
        after_step()
        seen.append(trainer.method.noted["tau"])

    trainer.method.after_step = after_step_and_look
    trainer.train()
    noted = pd.read_csv(tmp_path / "run" / "metrics.csv")["noted_tau"]
    assert seen[0] == pytest.approx(0.9) and seen == sorted(seen) and seen[-1] < 1
    np.testing.assert_allclose(noted, np.reshape(seen, (2, STEPS)).mean(axis=1), rtol=1e-6)


def test_a_collapsed_representation_is_warned_of_once(make, tiny_sports10, tmp_path):
    picture = (tiny_sports10 / "Hockey" / "train_0.jpg").read_bytes()
    for file in tiny_sports10.glob("*/train_*.jpg"):
        file.write_bytes(picture)  # all images are one: so are their embeddings
    make("byol", "views.train=[[ToArray], [ToArray]]").train()
    log = (tmp_path / "run" / "train.log").read_text()
    assert log.count("warning: noted_embedding_uniformity") == 1 and "the embeddings have collapsed" in log
    assert "epoch 2/2" in log


def test_evaluate_every_leaves_epochs_out_but_never_the_last(make, tmp_path):
    make("supervised", "run.evaluate_every=2", "optim.epochs=3", "data.train_images=8").train()
    metrics = pd.read_csv(tmp_path / "run" / "metrics.csv")
    assert metrics["eval_accuracy"].notna().tolist() == [False, True, True]
    assert metrics["train_loss"].notna().all()


@pytest.mark.parametrize("name", ["supervised", "simclr"])
def test_held_back_images_are_evaluated_and_not_trained_on_and_val_is_left_alone(
    make, tiny_sports10, tmp_path, name
):
    for file in [tiny_sports10 / "val_split.csv", *tiny_sports10.glob("*/val_*.jpg")]:
        file.unlink()
    trainer = make(name, "data.hold_back=0.25", "optim.epochs=1", "data.train_images=40")
    held, trained = set(trainer.eval_split.rows), set(trainer.train_split.rows)
    assert len(held) == 10 and len(trained) == 30 and not held & trained
    assert trainer.train()["eval_accuracy"] in [right / 10 for right in range(11)]
    assert "30 training and 10 held back images" in (tmp_path / "run" / "train.log").read_text()


@pytest.mark.parametrize("name", ["simclr", "byol rising tau", "cds"])
def test_more_epochs_are_refused_where_what_was_done_depends_on_their_number(make, stop_after, name):
    """The learning rate, tau and the weight of the contrast follow a cosine over the whole run."""
    stop_after(make(name), 1)
    with pytest.raises(UserError, match=r"the recipe has changed since, in optim\.epochs"):
        make(name, "optim.epochs=3", resume=True)


def test_more_epochs_may_follow_where_the_rate_has_steps(make, stop_after):
    stop_after(make("supervised 2 views"), 1)
    assert make("supervised 2 views", "optim.epochs=3", resume=True).train()["epoch"] == 3
