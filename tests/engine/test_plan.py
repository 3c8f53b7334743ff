"""From the words of a command to the recipes it runs."""

from pathlib import Path

import pytest

from ppcds.engine.plan import (
    Step,
    common_threads,
    folder_name,
    parse_run,
    plan_chain,
    plan_runs,
    split_at_commas,
)
from ppcds.errors import UserError

STEPS = (
    Step("pretrain", "demo"),
    Step("finetune", "demo", starts_from="model.pretrained"),
    Step("distill", "demo", starts_from="method.teacher_weights"),
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("demo", ["demo"]),
        ("demo,a=1, b=2", ["demo", "a=1", "b=2"]),
        ("a=[1, 2],b={c: 3, d: [4, 5]},e=6", ["a=[1, 2]", "b={c: 3, d: [4, 5]}", "e=6"]),
        ("a=[[b, {c: {d: 1, e: 4}}]],f=[]", ["a=[[b, {c: {d: 1, e: 4}}]]", "f=[]"]),
    ],
)
def test_commas_in_brackets_do_not_part(text, parts):
    assert split_at_commas(text) == parts


def test_a_label_may_hold_a_comma_and_values_may_hold_an_equals_sign():
    label, recipe, overrides = parse_run("CDS, weight .1=demo,method.weight=0.1,data.root=a=b")
    assert (label, recipe) == ("CDS, weight .1", "demo")
    assert overrides == ["method.weight=0.1", "data.root=a=b"]


@pytest.mark.parametrize("text", ["demo", "=demo", "CDS=", "CDS=demo,width", "CDS=demo,", "..=demo"])
def test_a_run_without_label_recipe_or_value_is_told_how_to_be_written(text):
    with pytest.raises(UserError, match="write LABEL=RECIPE"):
        parse_run(text)


def test_a_label_becomes_a_folder_of_plain_characters():
    assert folder_name("CDS, weight 0.1") == "cds_weight_0.1"
    assert folder_name("../../etc") == "etc"
    assert folder_name("对比 学习") == "对比_学习"


def test_every_run_gets_every_seed_and_a_folder_of_its_own():
    runs = ["cross entropy=demo,method.name=supervised,method.views=2", "CDS=demo"]
    plan = plan_runs(runs, [0, 7], ["optim.epochs=3"], Path("out: put"))  # a colon means something in YAML
    assert list(plan) == ["cross entropy", "CDS"] and list(plan["CDS"]) == [0, 7]
    recipe = plan["cross entropy"][7]
    assert (recipe.method.name, recipe.method.options()["views"]) == ("supervised", 2)
    assert (recipe.run.seed, recipe.optim.epochs) == (7, 3)
    assert recipe.run.output_dir == str(Path("out: put/cross_entropy/seed7"))
    assert plan["CDS"][7].method.name == "cds"


def test_a_runs_own_changes_come_after_those_of_all():
    plan = plan_runs(["a=demo,optim.epochs=2", "b=demo"], [0], ["optim.epochs=3"], Path("out"))
    assert [plan[label][0].optim.epochs for label in "ab"] == [2, 3]


@pytest.mark.parametrize(
    ("runs", "overrides", "said"),
    [
        (["CDS=demo", "cds=demo"], [], "too like 'CDS'"),
        (["CDS=demo,run.seed=3"], [], "come from --seeds and --output"),
        (["CDS=demo"], ["run.output_dir=here"], "come from --seeds and --output"),
        (["CDS=demo,optim.epoch=3"], [], "did you mean 'epochs'"),
        (["CDS=demmo"], [], "did you mean 'demo'"),
    ],
)
def test_what_cannot_be_compared_is_refused(runs, overrides, said):
    with pytest.raises(UserError, match=said):
        plan_runs(runs, [0], overrides, Path("out"))


def test_each_step_of_a_chain_starts_from_the_last_weights_of_the_one_before():
    own = {"pretrain": [], "finetune": ["optim.epochs=2"], "distill": []}
    first, second, third = plan_chain(STEPS, ["optim.epochs=7", "run.seed=3"], own, Path("out"))
    assert [recipe.optim.epochs for recipe in (first, second, third)] == [7, 2, 7]
    assert {recipe.run.seed for recipe in (first, second, third)} == {3}
    assert first.run.output_dir == str(Path("out/pretrain")) and first.model.pretrained is None
    assert second.model.pretrained == str(Path("out/pretrain/last_model.pdparams"))
    assert third.method.options()["teacher_weights"] == str(Path("out/finetune/last_model.pdparams"))


def test_a_step_that_starts_from_nothing_is_left_as_its_recipe_says():
    steps = (Step("baseline", "demo"), Step("pretrain", "demo"), *STEPS[1:2])
    own = {"baseline": [], "pretrain": ["model.pretrained=given.pdparams"], "finetune": []}
    recipes = plan_chain(steps, [], own, Path("out"))
    found = [recipe.model.pretrained for recipe in recipes]
    assert found == [None, "given.pdparams", str(Path("out/pretrain/last_model.pdparams"))]


def test_a_chain_follows_a_step_that_is_put_elsewhere():
    own = {"pretrain": ["run.output_dir=elsewhere"], "finetune": [], "distill": []}
    first, second, _ = plan_chain(STEPS, [], own, output=None)
    assert first.run.output_dir == "elsewhere"
    assert second.model.pretrained == str(Path("elsewhere/last_model.pdparams"))
    assert second.run.output_dir == "output/demo"  # as the recipe says


def test_runs_that_share_a_process_have_one_number_of_threads():
    alike, other = [["a=sports10", "b=cifar10_cds"], ["a=sports10", "b=demo"]]

    def threads(runs, *overrides):
        plan = plan_runs(runs, [0, 1], list(overrides), Path("out"))
        return common_threads([recipe for by_seed in plan.values() for recipe in by_seed.values()])

    assert threads(alike) is None and threads(other, "run.threads=2") == 2
    with pytest.raises(UserError, match=r"run.threads is null \(all cores\) and 1: .*-o run.threads=1"):
        threads(other)
