import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from ppcds.errors import UserError
from ppcds.methods.cds import ContrastiveDeepSupervision
from ppcds.methods.cds_distillation import CDSDistillation
from ppcds.methods.supervised import Supervised
from ppcds.models import build_backbone
from ppcds.runtime import seed_step


@pytest.fixture
def make_teacher():
    """Function of a width and of ContrastiveDeepSupervision's options: a teacher with its own statistics."""

    def make(width=8, num_classes=4, **options):
        seed_step(7)
        teacher = ContrastiveDeepSupervision(build_backbone("resnet18", num_classes, width), **options)
        teacher.train()
        teacher.network(paddle.randn([8, 3, 32, 32]) * 2 + 1)  # moves the running statistics from 0 and 1
        return teacher

    return make


def values(parts):
    return {name: float(value) for name, value in parts.items()}


@pytest.mark.parametrize("distance_form", ["rows", "batch"])
def test_the_loss_is_that_of_cds_and_distances_to_the_teacher_and_a_soft_cross_entropy(
    make_classifier, make_teacher, make_views, labels, distance_form
):
    teacher, views = make_teacher(width=4), make_views(2)
    method = CDSDistillation(
        make_classifier(), teacher, embedding_weight=0.25, distance_form=distance_form, logits_temperature=2.0
    )
    method.eval()
    parts = values(method(views, labels))
    alone = ContrastiveDeepSupervision(make_classifier())  # the same first weights
    alone.eval()
    expected = values(alone(views, labels))
    del expected["loss"]
    (logits, embeddings), (teacher_logits, targets) = (
        m.network(paddle.concat(views)) for m in (alone, teacher)
    )
    for stage, embedding, target in zip((4, 3, 2, 1), embeddings, targets):
        squares = np.square(embedding.numpy() - target.numpy()).sum(axis=1)
        distance = np.sqrt(squares).mean() if distance_form == "rows" else np.sqrt(squares.sum())
        expected[f"distance_stage{stage}"] = 0.25 * distance
    likely = F.softmax(teacher_logits[:8] / 2, axis=1).numpy()
    expected["soft_cross_entropy"] = (
        -(likely * F.log_softmax(logits[:8] / 2, axis=1).numpy()).sum(axis=1).mean()
    )
    assert parts.pop("loss") == pytest.approx(sum(expected.values()), rel=1e-5)
    assert parts == pytest.approx(expected, rel=1e-5)


def test_the_notebooks_reading_compares_similarities_and_needs_no_adapter(
    make_classifier, make_teacher, make_views, labels
):
    teacher, views = make_teacher(), make_views(2)
    method = CDSDistillation(
        make_classifier(), teacher, stage_target="similarities", temperature=[0.005, 0.01], stages=(1, 4)
    )
    method.eval()
    parts = values(method(views, labels))
    _, embeddings = method.network(paddle.concat(views))
    _, targets = teacher.network(paddle.concat(views))
    for stage, temperature, own, target in (
        (4, 0.01, embeddings[0], targets[0]),
        (1, 0.005, embeddings[1], targets[3]),
    ):
        total = 0.0
        for row in range(16):  # each row's similarities to the 15 others
            others = [other for other in range(16) if other != row]
            student, wanted = (
                np.exp(e.numpy()[others].astype("float64") @ e.numpy()[row] / temperature)
                for e in (own, target)
            )
            student, wanted = student / student.sum(), wanted / wanted.sum()
            total += (wanted * np.log(wanted / student)).sum() / 16
        assert parts[f"similarity_stage{stage}"] == pytest.approx(0.1 * total, rel=1e-4)
    assert not [name for name in parts if name.startswith("distance")]
    assert not [name for name in method.state_dict() if "adapters" in name]


@pytest.mark.parametrize(
    "width, mlp, teacher_mlp, adapter",
    [(4, None, None, None), (8, None, None, [32, 64]), (8, (6,), (6,), None), (4, (6,), (5,), [6, 5])],
)
def test_a_linear_layer_adapts_each_embedding_where_widths_differ(
    make_classifier, make_teacher, make_views, labels, width, mlp, teacher_mlp, adapter
):
    teacher = make_teacher(width=width, mlp=teacher_mlp)
    method = CDSDistillation(make_classifier(), teacher, mlp=mlp)
    method(make_views(2), labels)  # fits
    shapes = [list(p.shape) for n, p in method.named_parameters() if "adapters" in n and n.endswith("weight")]
    assert shapes == ([adapter] * 4 if adapter else [])


def test_each_stage_learns_from_the_same_stage_of_a_teacher_with_more_heads(
    make_classifier, make_teacher, make_views, labels
):
    teacher = make_teacher(width=4)
    method = CDSDistillation(make_classifier(), teacher, stages=(2,))
    method.eval()
    images = paddle.concat(make_views(2))
    difference = method.network(images)[1][0] - teacher.network(images)[1][2]
    expected = 0.1 * np.sqrt(np.square(difference.numpy()).sum(axis=1)).mean()
    parts = values(method(make_views(2), labels))
    assert parts["distance_stage2"] == pytest.approx(expected, rel=1e-5)
    assert set(parts) == {
        "loss", "cross_entropy", "contrastive_stage2", "distance_stage2", "soft_cross_entropy"
    }  # fmt: skip


@pytest.mark.parametrize("teacher_mode", ["eval", "train"])
def test_ten_steps_in_training_mode_leave_every_byte_of_the_teacher(
    make_classifier, make_teacher, make_views, labels, arrays, teacher_mode
):
    teacher = make_teacher(mlp=(6,))
    method = CDSDistillation(make_classifier(), teacher, teacher_mode=teacher_mode)
    assert method.frozen() == {"teacher": teacher.network}
    before = arrays(teacher.network)
    optimizer = paddle.optimizer.Momentum(
        0.05, 0.9, parameters=method.parameters(), weight_decay=paddle.regularizer.L2Decay(0.1)
    )
    student = method.network.backbone.conv1.weight.numpy()
    method.train()
    for _ in range(10):
        method(make_views(2), labels)["loss"].backward()
        optimizer.step()
        optimizer.clear_grad()
        method.after_step()
    after = arrays(teacher.network)
    assert [name for name in before if before[name].tobytes() != after[name].tobytes()] == []
    assert not np.array_equal(student, method.network.backbone.conv1.weight.numpy())


@pytest.mark.parametrize("teacher_mode", ["eval", "train"])
def test_the_teacher_keeps_its_mode_when_the_student_changes_its_own(
    make_classifier, make_teacher, teacher_mode
):
    teacher = make_teacher()
    method = CDSDistillation(make_classifier(), teacher, teacher_mode=teacher_mode)
    for change in (method.train, method.eval):
        change()
        modes = {layer.training for layer in teacher.network.sublayers(include_self=True)}
        assert modes == {teacher_mode == "train"}


def test_a_teacher_in_training_mode_normalises_by_the_batch(
    make_classifier, make_teacher, make_views, labels
):
    views, distance = make_views(2), {}
    for mode in ("eval", "train"):
        method = CDSDistillation(make_classifier(), make_teacher(width=4), teacher_mode=mode)
        method.eval()
        distance[mode] = float(method(views, labels)["distance_stage1"])
    student, teacher = method.network, make_teacher(width=4)
    teacher.train()
    difference = student(paddle.concat(views))[1][-1] - teacher.network(paddle.concat(views))[1][-1]
    expected = 0.1 * np.sqrt(np.square(difference.numpy()).sum(axis=1)).mean()
    assert distance["train"] == pytest.approx(expected, rel=1e-4)
    assert distance["eval"] != pytest.approx(expected, rel=1e-2)


def test_checkpoints_and_optimiser_hold_the_student_once_and_no_teacher(make_classifier, make_teacher):
    teacher = make_teacher()
    method = CDSDistillation(make_classifier(), teacher)
    network = {f"cds.network.{name}" for name in method.network.state_dict()}
    adapters = {f"adapters.{stage}.{kind}" for stage in (1, 2, 3, 4) for kind in ("weight", "bias")}
    assert set(method.state_dict()) == network | adapters
    held = {id(parameter) for parameter in method.parameters()}
    assert not [parameter for parameter in teacher.parameters() if id(parameter) in held]


def test_the_students_contrast_follows_its_schedule_and_its_notes_are_passed_on(
    make_classifier, make_teacher, make_views, labels
):
    method = CDSDistillation(make_classifier(), make_teacher(width=4), weight_schedule="cosine")
    method.progress = 1.0
    parts = values(method(make_views(2), labels))
    assert parts["contrastive_stage4"] == pytest.approx(0, abs=1e-7)
    assert parts["distance_stage4"] > 0
    assert {"stage4_effective_rank", "contrastive_stage1_chance", "teacher_agreement"} <= set(method.noted)
    assert 0 <= float(method.noted["teacher_agreement"]) <= 1


def test_unlabelled_rows_learn_from_the_teacher_and_a_student_like_it_has_nothing_left_to_learn(
    make_classifier, make_teacher, make_views, labels
):
    teacher = make_teacher(width=4)
    method = CDSDistillation(make_classifier(), teacher)
    method.eval()
    parts = method(make_views(2), paddle.full_like(labels, -1))
    assert float(parts["cross_entropy"]) == 0
    parts["soft_cross_entropy"].backward()
    assert float(method.network.backbone.fc.weight.grad.abs().sum()) > 0
    method.clear_gradients()
    method.network.set_state_dict(teacher.network.state_dict())
    parts = method(make_views(2), labels)
    assert float(parts["distance_stage1"]) < 1e-5
    assert float(method.noted["teacher_agreement"]) == 1
    parts["loss"].backward()  # the distance has no direction at 0
    assert np.isfinite(method.network.backbone.conv1.weight.grad.numpy()).all()


@pytest.mark.parametrize("stage_target", ["embeddings", "similarities"])
def test_thirty_steps_overfit_eight_images(make_classifier, make_teacher, make_views, labels, stage_target):
    teacher, views = make_teacher(), make_views(2)
    step = paddle.optimizer.Momentum(0.05, 0.9, parameters=teacher.parameters())
    for _ in range(30):  # a teacher that knows these images
        teacher(views, labels)["loss"].backward()
        step.step()
        step.clear_grad()
    method = CDSDistillation(make_classifier(), teacher, stage_target=stage_target)
    optimizer = paddle.optimizer.Momentum(0.05, 0.9, parameters=method.parameters())
    before = values(method(views, labels))
    for _ in range(30):
        method(views, labels)["loss"].backward()
        optimizer.step()
        optimizer.clear_grad()
    after = values(method(views, labels))
    assert after["cross_entropy"] < 0.1
    fallen = [n for n in before if n.startswith(("distance", "similarity")) and after[n] < before[n]]
    assert len(fallen) >= 3
    method.eval()
    deployed = method.deployed()(views[0])
    assert deployed.numpy().tobytes() == method.network(views[0], False).numpy().tobytes()


def test_a_student_can_be_a_teacher_in_its_turn(make_classifier, make_teacher, make_views, labels):
    student = CDSDistillation(make_classifier(), make_teacher())
    method = CDSDistillation(make_classifier(seed=1), student)
    assert method.frozen() == {"teacher": student.network}
    assert float(method(make_views(2), labels)["loss"]) > 0


def test_a_teacher_without_the_heads_or_with_other_classes_is_refused(make_classifier, make_teacher):
    with pytest.raises(UserError, match="teacher_weights: the teacher has no heads .* latest.safetensors"):
        CDSDistillation(make_classifier(), Supervised(make_classifier()))
    with pytest.raises(UserError, match="tells 5 classes apart and the student 4"):
        CDSDistillation(make_classifier(), make_teacher(num_classes=5))
    with pytest.raises(UserError, match=r"no head on the stages \[1, 4\]"):
        CDSDistillation(make_classifier(), make_teacher(stages=(2, 3)))
