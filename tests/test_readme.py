"""What the README shows is what there is."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from ppcds import cli, config, runtime
from ppcds.config import RECIPES, load_recipe
from ppcds.engine import plan
from ppcds.methods.build import build_method, complete_options
from ppcds.report import run_record

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README_cn.md").read_text(encoding="utf-8")


def shown(text, language):
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [block for name, block in blocks if name == language]


LINES = [line for block in shown(README, "") for line in block.splitlines()]
COMMANDS = [line for line in LINES if "tools/train.py" in line]
ELSEWHERE = {  # folder under output/: recipe of the command that says so
    folder: recipe
    for recipe, folder in re.findall(r"-c (\w+) .*run\.output_dir=output/(\w+)", "\n".join(COMMANDS))
}
OTHERS = [line for line in LINES if re.search(r"tools/(?!train|prepare_data|benchmark|split_data)", line)]
OF_DATA = [line for line in LINES if re.search(r"tools/(prepare_data|benchmark|split_data)", line)]


def test_the_example_runs(tiny_sports10, tmp_path, monkeypatch):
    (tmp_path / "data" / "d").mkdir(parents=True)
    tiny_sports10.rename(tmp_path / "data" / "d" / "Sports10")
    monkeypatch.chdir(tmp_path)
    (example,) = [block for block in shown(README, "python") if "ppcds" in block]
    names = {}
    exec(example, names)
    assert names["logits"].shape == [16, 10]
    assert 0 < float(names["loss"]) < 10


@pytest.mark.parametrize("command", COMMANDS)
def test_the_training_commands_name_recipes_and_keys_that_exist(command):
    words = command.split("#")[0].split("tools/train.py")[1].split()
    options = dict.fromkeys(words[1::2])
    assert set(words[::2]) <= {"-c", "-o", "--resume"}, options
    recipe = next((value for flag, value in zip(words, words[1:]) if flag == "-c"), "sports10")
    overrides = [value for flag, value in zip(words, words[1:]) if flag == "-o"]
    recipe = load_recipe(recipe, [*overrides, "model.width=2"])
    if recipe.model.pretrained or "teacher_weights" in recipe.method.options():
        complete_options(recipe)  # all that can be told without the weights of another run
    else:
        build_method(recipe, 10)


class Understood(Exception):
    """A tool has come to where it prepares its work: its options and recipes are read."""


@pytest.mark.parametrize("command", OTHERS)
def test_the_other_commands_are_understood_by_their_tools(command, tmp_path, monkeypatch):
    _, tool, *words = shlex.split(command, comments=True)
    for name in re.findall(r"output/(\w+)(?:/\w+\.pdparams|$)", command):  # a run of that recipe
        folder = tmp_path / "output" / name
        folder.mkdir(parents=True)
        load_recipe(ELSEWHERE.get(name, name)).save(folder / "recipe.yaml")
        for weights in ("best_model", "last_model"):
            (folder / f"{weights}.pdparams").touch()
        (folder / "metrics.csv").write_text("epoch,eval_accuracy\n1,0.5\n")
    loaded = []

    def load_and_check(*arguments):
        loaded.append(load_recipe(*arguments))
        complete_options(loaded[-1])
        return loaded[-1]

    def stop(*_):
        raise Understood

    for module in (cli, config, plan, run_record):
        monkeypatch.setattr(module, "load_recipe", load_and_check)
    for step in ("prepare_processor", "choose_device", "load_paddle"):
        monkeypatch.setattr(runtime, step, stop)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [tool, *words])
    with pytest.raises(Understood):
        runpy.run_path(str(ROOT / tool))["main"]()
    assert loaded


@pytest.mark.parametrize("command", OF_DATA)
def test_the_commands_without_a_recipe_are_understood_by_their_tools(command, tmp_path, monkeypatch):
    _, tool, *words = shlex.split(command, comments=True)

    def stop(*_):
        raise Understood

    monkeypatch.setattr(runtime, "load_paddle", stop)
    for section in ("growth.draw_growth", "input.measure"):
        monkeypatch.setattr(f"ppcds.benchmark.{section}", stop)
    monkeypatch.chdir(tmp_path)
    for name in ("Sports10.zip", "data/d/Sports10"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(sys, "argv", [tool, *words])
    with pytest.raises(Understood):
        runpy.run_path(str(ROOT / tool))["main"]()


def test_files_that_are_linked_or_run_exist():
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", README + CHINESE)
    run = re.findall(r"tools/\w+\.py", README + CHINESE)
    assert [name for name in {*linked, *run} if not (ROOT / name).exists()] == []


def test_every_recipe_is_in_the_table_of_results():
    results = README.split("## Results")[1].split("## Data")[0]
    assert [path.stem for path in RECIPES.glob("*.yaml") if f"`{path.stem}`" not in results] == []


def test_no_number_is_left_to_be_filled_in():
    assert not re.findall(r"RESULT_\w+|TBD", README + CHINESE)


def test_both_languages_show_the_same_commands_numbers_and_sections():
    assert [re.sub(r" +#.*", "", block) for block in shown(README, "")] == [
        re.sub(r" +#.*", "", block) for block in shown(CHINESE, "")
    ]
    assert len(re.findall(r"^## ", README, re.M)) == len(re.findall(r"^## ", CHINESE, re.M))
    numbers = r"\d*\.\d+|\d{1,3}(?:,\d{3})+"  # .7207, 74.1, 6,892
    assert sorted(re.findall(numbers, README)) == sorted(re.findall(numbers, CHINESE))
