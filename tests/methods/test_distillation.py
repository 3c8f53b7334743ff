import paddle
import pytest

from ppcds.errors import UserError
from ppcds.losses import cross_entropy, distillation_loss
from ppcds.methods.distillation import Distillation
from ppcds.methods.simclr import SimCLR
from ppcds.methods.supervised import Supervised


def test_alpha_weighs_cross_entropy_of_labels_against_the_teacher(make_classifier, make_views, labels):
    teacher = Supervised(make_classifier(seed=7))
    method = Distillation(make_classifier(), teacher, temperature=2.0, alpha=0.25)
    method.eval()
    views = make_views(1)
    parts = method(views, labels)
    student_logits, teacher_logits = method.backbone(views[0]), teacher.backbone(views[0])
    expected = 0.75 * float(cross_entropy(student_logits, labels))
    assert float(parts["cross_entropy"]) == pytest.approx(expected, rel=1e-6)
    expected = 0.25 * float(distillation_loss(student_logits, teacher_logits, 2.0))
    assert float(parts["distillation"]) == pytest.approx(expected, rel=1e-6)
    agree = (student_logits.argmax(1) == teacher_logits.argmax(1)).numpy().mean()
    assert float(method.noted["teacher_agreement"]) == pytest.approx(agree)


def test_alpha_1_needs_no_labels_and_alpha_0_no_teacher(make_classifier, make_views, labels):
    views, teacher = make_views(1), Supervised(make_classifier(seed=7))
    alone = Distillation(make_classifier(), teacher, alpha=1.0)(views, paddle.full_like(labels, -1))
    assert set(alone) == {"loss", "distillation"}
    assert float(alone["loss"]) > 0
    assert set(Distillation(make_classifier(), teacher, alpha=0.0)(views, labels)) == {
        "loss",
        "cross_entropy",
    }


def test_unlabelled_rows_learn_from_the_teacher_alone(make_classifier, make_views, labels):
    method = Distillation(make_classifier(), Supervised(make_classifier(seed=7)), alpha=0.5)
    method.eval()
    views, half = make_views(1), labels.clone()
    half[4:] = -1
    parts = method(views, half)
    logits = method.backbone(views[0])
    assert float(parts["cross_entropy"]) == pytest.approx(
        0.5 * float(cross_entropy(logits[:4], labels[:4])), rel=1e-6
    )
    assert float(parts["distillation"]) == pytest.approx(
        float(method(views, labels)["distillation"]), rel=1e-6
    )


def test_neither_checkpoint_nor_optimiser_hold_the_teacher(make_classifier):
    student, teacher = make_classifier(), Supervised(make_classifier(seed=7))
    method = Distillation(student, teacher)
    assert set(method.state_dict()) == {f"backbone.{name}" for name in student.state_dict()}
    held = {id(parameter) for parameter in method.parameters()}
    assert not [parameter for parameter in teacher.parameters() if id(parameter) in held]
    method.train()
    assert method.frozen()["teacher"] is teacher.deployed()
    assert not [layer for layer in teacher.deployed().sublayers(include_self=True) if layer.training]


def test_a_teacher_of_other_classes_or_without_any_is_refused(make_classifier, make_encoder):
    with pytest.raises(UserError, match="method.teacher_weights: the teacher tells 6 classes .* student 4"):
        Distillation(make_classifier(), Supervised(make_classifier(num_classes=6)))
    with pytest.raises(UserError, match="method.teacher_weights: the teacher tells 0 classes"):
        Distillation(make_classifier(), SimCLR(make_encoder()))
