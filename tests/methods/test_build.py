"""What is built from a recipe, beside the methods themselves."""

import shutil

import pytest

from ppcds.config import load_recipe
from ppcds.errors import UserError
from ppcds.methods.build import build_method
from ppcds.models.processor_conv import ProcessorConv2D, onednn_trains


@pytest.fixture
def student(teacher_run):
    """Function of overrides: the recipe of a network that learns from the teacher of the run."""

    def make(*overrides):
        weights = f"method.teacher_weights={teacher_run / 'last_model.pdparams'}"
        return load_recipe("demo", ["method.name=distillation", weights, "model.width=4", *overrides])

    return make


def test_a_teacher_of_the_same_classes_in_another_order_is_refused(student, teacher_run):
    recipe = student()
    recipe.data.classes = load_recipe(str(teacher_run / "recipe.yaml")).data.classes[::-1]
    with pytest.raises(UserError, match="recipe.yaml has other data.classes, or in another order"):
        build_method(recipe, 10)


def test_the_convolutions_of_student_and_teacher_run_by_onednn_where_this_paddle_can(student):
    method = build_method(student(), 10)
    for network in (method.backbone, method.outside[0]):
        assert isinstance(network.conv1, ProcessorConv2D) == onednn_trains()


def test_a_teacher_that_saw_other_colours_is_refused(student):
    with pytest.raises(UserError, match="has other views.eval"):
        build_method(student("views.eval=[ToArray]"), 10)


def test_a_run_that_is_resumed_does_not_need_the_weights_it_started_from(tmp_path, teacher_run):
    weights = tmp_path / "gone.pdparams"
    shutil.copy(teacher_run / "last_model.pdparams", weights)
    recipe = load_recipe("demo", ["model.width=4", f"model.pretrained={weights}"])
    assert build_method(recipe, 10).started_from == f"weights of {weights}; fc is taken over"
    weights.unlink()
    assert build_method(recipe, 10, pretrained=False).started_from == ""
    with pytest.raises(UserError, match="gone.pdparams"):
        build_method(recipe, 10)
