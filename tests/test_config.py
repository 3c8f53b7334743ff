"""Recipes: complete, strict, and clear about what is wrong."""

import shutil
from pathlib import Path

import pytest
import yaml

from ppcds.config import RECIPES, Recipe, apply_override, load_recipe
from ppcds.engine.recipe_changes import require_allowed
from ppcds.errors import UserError
from ppcds.methods.build import build_method
from ppcds.transforms.build import build_view

SHIPPED = sorted(path.stem for path in RECIPES.glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_names_every_key_and_builds(name, teacher_run, tmp_path):
    written = yaml.safe_load((RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))
    recipe = load_recipe(name, ["model.width=2", "model.pretrained=null"])
    teacher = written["method"].get("teacher_weights")
    if teacher:
        recipe.method.teacher_weights = str(tmp_path / Path(teacher).name)
        shutil.copytree(teacher_run, tmp_path, dirs_exist_ok=True)
        of_teacher = load_recipe(str(tmp_path / "recipe.yaml"))
        of_teacher.views.eval = recipe.views.eval  # it has to have seen the same colours
        of_teacher.save(tmp_path / "recipe.yaml")
    method = build_method(recipe, 10)
    for view in [*recipe.views.train, recipe.views.eval]:
        build_view(view)
    recipe.model.width = written["model"]["width"]
    filled_in_by_the_run = {"classes"}
    for section, values in recipe.model_dump(mode="json").items():
        assert set(values) - filled_in_by_the_run == set(written[section]), section
    assert len(recipe.views.train) >= method.views_used


def test_the_default_recipe_is_the_notebooks_setting():
    recipe = load_recipe("sports10")
    assert (recipe.optim.learning_rate, recipe.optim.momentum, recipe.optim.weight_decay) == (0.1, 0.9, 5e-4)
    assert (recipe.optim.epochs, recipe.optim.schedule.milestones) == (100, [30, 50, 90])
    assert (recipe.data.batch_size, recipe.data.size, recipe.optim.schedule.gamma) == (128, (72, 128), 0.8)


def test_the_notebook_recipe_differs_from_the_default_only_in_its_errors():
    expected = [
        "method.softmax_twice",
        "run.best_by",
        "run.output_dir",
        "run.ten_batch_accuracy",
        "run.train_accuracy",
        "views.train",  # PaddleColorJitter
    ]
    default, notebook = load_recipe("sports10"), load_recipe("sports10_notebook")
    assert list(require_allowed(Path("a"), default, notebook, expected)) == expected


def test_overrides_are_typed_and_exponents_are_numbers():
    recipe = load_recipe("sports10", ["optim.learning_rate=1e-3", "data.size=[36, 64]", "run.seed=7"])
    assert (recipe.optim.learning_rate, recipe.data.size, recipe.run.seed) == (0.001, (36, 64), 7)


def test_another_method_starts_from_its_own_defaults():
    recipe = load_recipe("sports10", ["method.name=supervised", "method.views=2"])
    assert recipe.method.options() == {"views": 2}
    assert "weight" in load_recipe("sports10", ["method.name=cds"]).method.options()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optim.learning_rat=1", "optim.learning_rat: unknown key, did you mean 'learning_rate'?"),
        ("optims.epochs=1", "optims: unknown key, did you mean 'optim'?"),
        ("optim.schedule.gama=1", "optim.schedule.gama: unknown key, did you mean 'gamma'?"),
        ("optim.epochs=many", "optim.epochs: 'many' should be a valid integer"),
        ("optim.epochs=0", "optim.epochs: 0 should be greater than 0"),
        ("data.size=64", "data.size: 64 should be a valid tuple"),
        ("data.batch_size=true", "data.batch_size: True should be a number"),
        ("run.seed=false", "run.seed: False should be a number"),
        ("optim.learning_rate=.inf", "optim.learning_rate: inf should be a finite number"),
        ("optim.schedule.milestones=[4, 2]", "optim.schedule.milestones: [4, 2] should rise"),
        ("optim.schedule.gamma=2", "optim.schedule.gamma: 2 should be less than 1"),
        ("optim.epochs", "write section.key=value"),
        ("optim.epochs.more=1", "epochs holds a value, not a section"),
        ("optim.epochs=[", "not valid YAML"),
        ("run.best_by=eval_accuracy_ten_batches", "needs run.ten_batch_accuracy"),
    ],
)
def test_a_wrong_override_is_named_with_its_key(override, said):
    with pytest.raises(UserError) as error:
        load_recipe("sports10", [override])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["method.wieght=1"], "method.wieght: unknown key, did you mean 'weight'?"),
        (["method.weight=heavy"], "method.weight: 'heavy' should be a number, or a list"),
        (["method.contrast=moco"], "method.contrast: 'moco' should be 'supcon' or 'simclr'"),
        (["method.temperature=0"], "method.temperature: 0.0 should be above 0"),
        (["method.weight=.nan"], "method.weight: nan should be a number, or a list"),
        (["method.weight=true"], "method.weight: True should be a number"),
        (["method.name=cd"], "no method 'cd', did you mean 'cds'?"),
        (["method.name=supervised", "method.views=0"], "method.views"),
    ],
)
def test_method_options_are_checked_against_the_constructor(overrides, said):
    with pytest.raises(UserError, match="method") as error:
        build_method(load_recipe("demo", overrides), 10)
    assert said in str(error.value)


def test_the_order_of_overrides_of_a_method_does_not_matter():
    for overrides in (
        ["method.views=2", "method.name=supervised"],
        ["method.name=supervised", "method.views=2"],
    ):
        assert load_recipe("sports10", overrides).method.options() == {"views": 2}
    with pytest.raises(UserError, match="method"):
        load_recipe("sports10", ["method=null"])


def test_building_a_method_completes_the_recipe():
    recipe = load_recipe("demo", ["method.name=supervised"])
    build_method(recipe, 10)
    assert recipe.method.options() == {
        "views": 1,
        "softmax_twice": False,
        "augmentation": None,
    }


def test_a_missing_key_is_named(tmp_path):
    values = yaml.safe_load((RECIPES / "demo.yaml").read_text(encoding="utf-8"))
    del values["optim"]["epochs"]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match=r"mine\.yaml: optim\.epochs: missing"):
        load_recipe(str(path))


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "not valid YAML"), ("- 1", "a recipe is a mapping"), ("", "a recipe is a mapping")],
)
def test_a_file_that_is_no_recipe_is_named(tmp_path, text, said):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=said) as error:
        load_recipe(str(path))
    assert str(path) in str(error.value)


def test_an_unknown_recipe_suggests_the_nearest():
    with pytest.raises(UserError, match="did you mean 'sports10_cpu'"):
        load_recipe("sport10_cpu")
    with pytest.raises(UserError, match="no recipe file mine.yaml"):
        load_recipe("mine.yaml")


def test_a_saved_recipe_loads_as_the_same(tmp_path):
    recipe = load_recipe("sports10_notebook", ["optim.weight_decay=1e-6"])
    recipe.save(tmp_path / "recipe.yaml")
    assert load_recipe(str(tmp_path / "recipe.yaml")) == recipe
    assert isinstance(recipe, Recipe)


def test_overrides_make_sections_that_the_file_leaves_out():
    values = {}
    apply_override(values, "optim.schedule.gamma=0.5")
    assert values == {"optim": {"schedule": {"gamma": 0.5}}}
