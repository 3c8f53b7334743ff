"""What of a recipe is shown first."""

from ppcds.config import load_recipe
from ppcds.report.page.recipe import describe_recipe


def test_keys_that_differ_from_the_nearest_shipped_recipe_come_first():
    found = describe_recipe(
        load_recipe("sports10_cpu", ["optim.learning_rate=0.05", "run.output_dir=output/x"])
    )
    assert found["nearest"] == "sports10_cpu"
    assert found["changed"] == [("optim.learning_rate", "0.1", "0.05")]
    assert "learning_rate: 0.05" in found["text"] and "output_dir: output/x" in found["text"]
    assert describe_recipe(load_recipe("demo"))["changed"] == []


def test_another_method_is_named_first_and_options_it_does_not_have_are_left_out():
    found = describe_recipe(load_recipe("sports10_cpu", ["method.name=supervised", "method.views=2"]))
    assert found["nearest"] == "sports10_cpu"
    assert found["changed"] == [("method.name", '"cds"', '"supervised"'), ("method.views", "", "2")]


def test_of_a_long_list_of_transforms_the_option_that_differs_is_shown():
    recipe = load_recipe("sports10_cpu")
    recipe.views.train[0][3]["Cutout"]["length"] = 9
    recipe.views.train[1][0]["RandomCrop"]["size"] = [36, 64]
    assert describe_recipe(recipe)["changed"] == [
        ("views.train[0][3].Cutout.length", "6", "9"),
        ("views.train[1][0].RandomCrop.size", "", "[36, 64]"),
    ]
    recipe.views.train = recipe.views.train[:1]
    ((key, before, now),) = describe_recipe(recipe)["changed"]  # not of one length: as a whole, cut off
    assert key == "views.train" and before.endswith("…") and len(before) == 160


def test_recipes_of_earlier_versions_lack_no_option():
    recipe = load_recipe("sports10_cpu")
    del recipe.method.__pydantic_extra__["stages"]
    assert describe_recipe(recipe)["changed"] == []
