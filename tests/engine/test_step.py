"""What saves memory or time leaves the step what it was."""

import contextlib

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcds.config import load_recipe
from ppcds.engine.optimizers import build_optimizer
from ppcds.engine.step import TrainStep
from ppcds.errors import UserError
from ppcds.methods import METHODS, Method
from ppcds.methods.build import build_method
from ppcds.runtime import seed_step

HEAD = "model.head={widths: [16, 8]}"
PLAIN = "{min_area: 0.5, brightness: 0.3, jitter: 0.1}"
OPTIONS = {  # overrides for a method to be built; the first word is its name
    "byol": (HEAD, "method.predictor_width=16"),
    "cds": (),
    "cds_distillation adapters": ("method.teacher_weights=TEACHER/latest.safetensors", "model.width=2"),
    "deep_supervision": ("method.kl_weight=1",),
    "distillation": ("method.teacher_weights=TEACHER/best_model.pdparams", "method.alpha=0.5"),
    "linear": (),
    "moco": (HEAD, "method.queue_size=20"),
    "simclr": (HEAD,),
    "simclr_online_probe": (
        *("model.name=conv4", f"method.contrastive={PLAIN}", f"method.classification={PLAIN}"),
        "model.width=8",
    ),
    "supcon 3 views": (HEAD, "method.views=3"),
    "supervised augmented": (f"method.augmentation={PLAIN}",),
}


@pytest.fixture
def make_step(teacher_run):
    """make(name, *overrides): the step of a method of OPTIONS for batches of eight images of 32x32 px."""

    def make(name, *overrides):
        own = [override.replace("TEACHER", str(teacher_run)) for override in OPTIONS[name]]
        small = [f"method.name={name.split()[0]}", "model.width=4", "data.size=[32, 32]", "data.batch_size=8"]
        recipe = load_recipe("demo", [*small, *own, *overrides])
        seed_step(0)
        method = build_method(recipe, 10)
        return TrainStep(recipe, method, build_optimizer(recipe.optim, method.parameters()))

    return make


def batch(step, rows=8):
    random = np.random.RandomState(0)
    images = random.rand(rows, 3, 32, 32)
    views = [images + 0.1 * random.randn(*images.shape) for _ in range(step.method.views_used)]
    labels = [0, 1, -1, 3, 0, 1, 2, -1]
    return [paddle.to_tensor(view.astype("float32")) for view in views], paddle.to_tensor(labels[:rows])


class Found(dict):
    """Losses, notes, gradients and state of one step, by kind."""


def run(step, views, labels):
    """What a step finds; the state is that after it."""
    gradients, move = {}, step.precision.move

    def look_and_move(optimizer):
        named = step.method.named_parameters()
        gradients.update({name: p.grad.numpy() for name, p in named if p.grad is not None})
        move(optimizer)

    step.precision.move = look_and_move
    seed_step(1)
    losses, notes = step(views, labels, lambda losses: None)
    state = {name: value.numpy() for name, value in step.method.state_dict().items()}
    return Found(losses=losses, notes=notes, gradients=gradients, state=state)


def assert_same(found, expected, tolerance=1e-5):
    assert found["losses"] == pytest.approx(expected["losses"], rel=tolerance)
    assert found["notes"] == pytest.approx(expected["notes"], rel=1e-3, abs=1e-4)
    for kind in ("gradients", "state"):
        assert found[kind].keys() == expected[kind].keys()
        scale = max(np.abs(array).max() for array in expected[kind].values())
        for name, array in expected[kind].items():
            np.testing.assert_allclose(found[kind][name], array, rtol=0, atol=tolerance * scale, err_msg=name)


def test_every_method_is_among_them():
    assert {name.split()[0] for name in OPTIONS} == set(METHODS)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_batch_in_parts_has_the_losses_notes_and_gradients_of_the_whole(make_step, name):
    found = {}
    for parts in (1, 4):
        step = make_step(name, f"optim.accumulate={parts}")
        step.method.eval()  # batch norm sees parts
        found[parts] = run(step, *batch(step))
    assert_same(found[4], found[1])
    if "adapters" in name:
        assert np.abs(found[4]["gradients"]["adapters.2.weight"]).max() > 0


@pytest.mark.parametrize("name", ["cds", "moco", "supcon 3 views"])
def test_parts_that_are_alike_move_running_statistics_once(make_step, name):
    """Batch norm then finds in each part what it finds in the whole."""
    found = {}
    for parts in (1, 2):
        step = make_step(name, f"optim.accumulate={parts}")
        views, labels = batch(step, rows=4)
        found[parts] = run(step, [paddle.concat([view, view]) for view in views], paddle.concat([labels] * 2))
    assert_same(found[2], found[1], tolerance=1e-4)
    moved = [key for key in found[1]["state"] if key.endswith("_variance")]
    for key in moved:
        np.testing.assert_allclose(found[2]["state"][key], found[1]["state"][key], rtol=1e-4, err_msg=key)


class RandomRows(Method):
    """Its loss is linear in one weight, with factors that are drawn."""

    def __init__(self):
        super().__init__()
        self.weight = self.create_parameter([1], default_initializer=nn.initializer.Constant(2.0))
        self.dropout = nn.Dropout(0.5)

    def outputs(self, views, labels):
        return {"rows": self.dropout(views[0].flatten(1) * self.weight)}

    def losses(self, outputs, labels):
        return {"sum": outputs["rows"].sum()}


def test_both_passes_of_a_part_draw_the_same_numbers_and_parts_draw_their_own():
    recipe = load_recipe("demo", ["data.batch_size=8", "optim.accumulate=2"])
    method = RandomRows()
    step = TrainStep(recipe, method, paddle.optimizer.SGD(0.0, parameters=method.parameters()))
    seen, outputs = [], method.outputs

    def outputs_seen(views, labels):
        found = outputs(views, labels)
        seen.append(found["rows"].numpy())
        return found

    method.outputs = outputs_seen
    found = run(step, [paddle.ones([8, 3, 4, 4])], paddle.zeros([8], "int64"))
    first, second, first_again, second_again = seen
    np.testing.assert_array_equal(first, first_again)
    np.testing.assert_array_equal(second, second_again)
    assert not np.array_equal(first, second)
    np.testing.assert_allclose(found["gradients"]["weight"], found["losses"]["sum"] / 2, rtol=1e-6)


def test_a_smaller_last_batch_has_a_smaller_last_part(make_step):
    found = {}
    for parts in (1, 2):
        step = make_step("simclr", f"optim.accumulate={parts}")
        step.method.eval()
        views, labels = batch(step)
        found[parts] = run(step, [view[:7] for view in views], labels[:7])
    assert_same(found[2], found[1])


def test_a_batch_that_cannot_be_cut_is_refused(make_step):
    with pytest.raises(UserError, match="optim.accumulate: 8 rows of data.batch_size .* into 3 parts"):
        make_step("cds", "optim.accumulate=3")


@pytest.mark.parametrize("name", ["cds", "moco"])
@pytest.mark.parametrize(
    "key, tolerance",
    [
        ("model.recompute=[1, 2, 4]", 1e-4),
        ("run.to_static=true", 1e-4),
        ("model.channels_last=true", 0.02),  # rounding: tests/models/test_channels_last.py is exact
    ],
)
def test_a_training_step_is_the_plain_one_with(make_step, name, key, tolerance):
    expected, found = (run(step, *batch(step)) for step in (make_step(name), make_step(name, key)))
    assert found["losses"] == pytest.approx(expected["losses"], rel=1e-4)
    assert_same(found, expected, tolerance)


def test_recomputed_stages_run_again_in_the_backward_pass_and_in_no_evaluation(make_step):
    step = make_step("cds", "model.recompute=[2]")
    backbone, seen = step.method.network.backbone, []
    stage = backbone.stage

    def stage_seen(number, features):
        seen.append((number, paddle.is_grad_enabled()))
        return stage(number, features)

    backbone.stage = stage_seen
    views, labels = batch(step)
    run(step, views, labels)
    assert seen == [(1, True), (2, False), (3, True), (4, True), (2, True)]
    seen.clear()
    backbone.eval()
    backbone(views[0])
    assert [number for number, _ in seen] == [1, 2, 3, 4]


def test_recomputed_stages_in_parts_of_a_batch_are_those_parts(make_step):
    parts = [
        make_step("simclr", "optim.accumulate=2", f"model.recompute={stages}") for stages in ([], [1, 3])
    ]
    plain, recomputed = (run(step, *batch(step)) for step in parts)
    assert_same(recomputed, plain, tolerance=1e-4)


@pytest.mark.parametrize("key", ["model.recompute=[1]", "optim.accumulate=2", "model.channels_last=true"])
def test_a_static_graph_is_refused_with_what_it_cannot_do(make_step, key):
    with pytest.raises(UserError, match="^run.to_static: .* use " + key.split("=")[0]):
        make_step("cds", "run.to_static=true", key)


def test_a_static_graph_is_refused_to_several_ranks_on_a_processor(make_step, monkeypatch):
    monkeypatch.setattr("ppcds.engine.step.num_ranks", lambda: 2)
    with pytest.raises(UserError, match="^run.to_static: .* among ranks: use run.to_static: false"):
        make_step("cds", "run.to_static=true")


def test_a_static_graph_keeps_names_modes_and_the_deployed_network(make_step):
    plain, static = make_step("cds"), make_step("cds", "run.to_static=true")
    views, labels = batch(plain)
    for step in (plain, static):
        run(step, views, labels)
        step.method.eval()
    assert list(static.method.state_dict()) == list(plain.method.state_dict())
    one, other = (step.method.deployed()(views[0][:3]).numpy() for step in (plain, static))
    np.testing.assert_allclose(other, one, atol=1e-4)
    again = static.method.deployed()(views[0][:3]).numpy()  # running statistics stayed
    np.testing.assert_array_equal(again, other)


class HalfPrecision:
    """Stands for autocast, which does nothing on a processor: networks give bfloat16 within it."""

    scaler = None

    def __init__(self, method):
        self.within, outputs = False, method.outputs

        def half_outputs(views, labels):
            found = outputs(views, labels)
            return {n: rows.astype("bfloat16") for n, rows in found.items()} if self.within else found

        method.outputs = half_outputs

    @contextlib.contextmanager
    def autocast(self):
        self.within = True
        yield
        self.within = False

    def scaled(self, loss):
        assert not self.within
        return loss

    def move(self, optimizer):
        optimizer.step()


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("name", ["cds", "byol"])
def test_losses_of_half_precision_outputs_are_taken_in_single_precision(make_step, name, parts):
    step = make_step(name, f"optim.accumulate={parts}")
    step.method.eval()
    expected_step = make_step(name)
    expected_step.method.eval()
    expected = run(expected_step, *batch(expected_step))
    step.precision = HalfPrecision(step.method)
    losses, seen = step.method.losses, set()

    def losses_seen(outputs, labels):
        seen.update(rows.dtype for rows in outputs.values())
        return losses(outputs, labels)

    step.method.losses = losses_seen
    found = run(step, *batch(step))
    assert seen == {paddle.float32}
    assert found["losses"] == pytest.approx(expected["losses"], rel=0.02)
    assert found["losses"]["loss"] != expected["losses"]["loss"]
    for name, gradient in expected["gradients"].items():
        difference = np.linalg.norm(found["gradients"][name] - gradient)
        assert difference <= 0.1 * np.linalg.norm(gradient) + 1e-5, name
