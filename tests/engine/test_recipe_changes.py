"""What of a recipe may change between a stop and a resume."""

import re
from pathlib import Path

import pytest

from ppcds.config import load_recipe
from ppcds.engine.recipe_changes import MAY_CHANGE, describe_changes, require_allowed
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError
from ppcds.methods.build import complete_options

LATEST = Path("run/latest.safetensors")


def recipes(*changes):
    both = [load_recipe("demo"), load_recipe("demo", changes)]
    for recipe in both:
        complete_options(recipe)
    return both


@pytest.mark.parametrize("key", sorted(MAY_CHANGE))
def test_keys_that_no_weight_depends_on_may_change(key):
    values = {"cache": "ignore", "on_bad_image": "skip", "root": "x", "output_dir": "x"}
    before, now = recipes(f"{key}={values.get(key.split('.')[1], 7)}")
    found = require_allowed(LATEST, before, now)
    assert [line.split()[4] for line in describe_changes(found)] == [key]


def test_other_keys_are_refused_with_their_values_and_the_way_to_allow_them():
    before, now = recipes("optim.learning_rate=0.5", "model.head={widths: [8]}", "run.seed=3")
    with pytest.raises(UserError) as caught:
        require_allowed(LATEST, before, now, ["run.seed"])
    assert str(caught.value) == (
        'run/latest.safetensors: the recipe has changed since, in model.head (null -> {"widths": [8], '
        '"batch_norm": "hidden"}), optim.learning_rate (0.05 -> 0.5): go on with that of the run, or tell '
        "train.py --resume that this is meant: --allow-change run.seed model.head optim.learning_rate"
    )
    require_allowed(LATEST, before, now, ["run.seed", "model.head", "optim.learning_rate"])


def test_a_long_value_is_cut():
    before, now = recipes("views.train=[[ToArray]]")
    with pytest.raises(UserError) as caught:
        require_allowed(LATEST, before, now)
    assert re.search(r"views\.train \(\[\[.{30,35}\.\.\. -> \[\[\"ToArray\"\]\]\)", str(caught.value))


@pytest.mark.parametrize(
    "key, said",
    [
        ("optim.learning_rat", "there is no such key, did you mean 'optim.learning_rate'?"),
        ("optim", "there is no such key"),
    ],
)
def test_an_allowed_key_that_does_not_exist_is_a_mistake(key, said):
    before, now = recipes("optim.learning_rate=0.5")
    with pytest.raises(UserError, match=re.escape(f"--allow-change {key}: {said}")):
        require_allowed(LATEST, before, now, ["optim.learning_rate", key])


def test_the_same_command_may_allow_a_change_twice():
    before, now = recipes("optim.learning_rate=0.5")
    require_allowed(LATEST, before, now, ["optim.learning_rate", "optim.momentum"])
    require_allowed(LATEST, now, now, ["optim.learning_rate"])


def test_a_mapping_that_came_may_be_allowed_twice_too():
    before, now = recipes("model.head={widths: [8]}")
    for earlier in (before, now):
        require_allowed(LATEST, earlier, now, ["model.head"])


def with_options(**options):
    recipe = load_recipe("demo")
    for name, value in options.items():
        setattr(recipe.method, name, value)
    return recipe


def test_of_a_mapping_in_both_recipes_its_keys_are_compared_and_of_another_all_of_it():
    def found(before, now, *allowed):
        return require_allowed(LATEST, with_options(given=before), with_options(given=now), allowed)

    differ = {"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}
    assert found(*differ, "method.given.a.c") == {"method.given.a.c": (2, 3)}
    assert found({"a": 1}, {}, "method.given.a") == {"method.given.a": (1, None)}
    assert found({}, {"a": {}}, "method.given.a") == {"method.given.a": (None, {})}
    assert found({"a": {}}, {"a": None}, "method.given.a") == {"method.given.a": ({}, None)}
    assert found({"a": 1}, None, "method.given") == {"method.given": ({"a": 1}, None)}
    assert found({}, {}) == found({"a": None}, {}) == {}
    given = require_allowed(LATEST, with_options(), with_options(given=[1]), ["method.given"])
    assert given == {"method.given": (None, [1])}


def test_every_key_of_another_schedule_is_named():
    before, now = recipes("optim.schedule.name=cosine")
    with pytest.raises(UserError) as caught:
        require_allowed(LATEST, before, now)
    allowed = str(caught.value).split("--allow-change ")[1].split()
    assert {"optim.schedule.name", "optim.schedule.warmup_epochs"} <= set(allowed)
    require_allowed(LATEST, before, now, allowed)


def test_a_run_goes_on_with_the_allowed_change_and_says_so(tiny_recipe, tmp_path):
    Trainer(tiny_recipe("optim.epochs=1")).train()
    changed = ["optim.learning_rate=0.001", "run.log_steps=1"]
    with pytest.raises(
        UserError, match=r"learning_rate \(0\.05 -> 0\.001\): .*--allow-change optim.learning_rate$"
    ):
        Trainer(tiny_recipe(*changed), resume=True)
    row = Trainer(tiny_recipe(*changed), True, allow_change=["optim.learning_rate"]).train()
    assert row["learning_rate"] == 0.001
    log = (tmp_path / "run" / "train.log").read_text()
    assert "since the last time, optim.learning_rate has changed: 0.05 -> 0.001\n" in log
    assert "since the last time, run.log_steps has changed: 2 -> 1\n" in log
    assert load_recipe(str(tmp_path / "run" / "recipe.yaml")).optim.learning_rate == 0.001
    Trainer(tiny_recipe(*changed), resume=True)  # the change is now what the run is made with


def test_what_can_never_change_is_refused_even_if_allowed(tiny_recipe):
    Trainer(tiny_recipe("optim.epochs=1")).train()
    with pytest.raises(UserError, match="latest.safetensors: .*weight is"):
        Trainer(tiny_recipe("optim.epochs=1", "model.width=4"), True, allow_change=["model.width"])
