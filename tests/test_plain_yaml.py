"""YAML of others: plain values, whatever it asks for."""

import time
import tracemalloc

import pytest

from ppcds.config import load_recipe
from ppcds.errors import UserError
from ppcds.plain_yaml import LARGEST, plain_value, read_yaml

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40))
REFUSED = {
    "values that stand for 2^40": LAUGHS,
    "mappings that merge 2^40": MERGES,
    "a list of itself": "a: &a [*a]",
    "mappings without end": "{a: " * 1000,
    "a call": "a: !!python/object/apply:os.system ['touch executed']",
    "an object": "a: !!python/object:collections.OrderedDict {}",
    "a module": "a: !!python/module:os",
    "a day that there is not": "a: 2001-99-99",
    "a number that is none": "a: !!int x",
    "digits without end": "a: " + "9" * 100_000,
    "minutes without end": "a: 1" + ":59" * 60_000 + "\nb: ]",
    "minutes that are called a number": "a: !!int 1" + ":59" * 60_000,
    "minutes that are called a fraction": "a: !!float 1" + ":59" * 60_000 + ".5",
    "no end": "a: [1,",
    "bytes that are no text": b"\xff\xfe\x00a",
    "text that cannot be printed": "a: \x00",
    "an alias of nothing": "a: *b",
    "two documents": "a: 1\n---\nb: 2",
    "a file too large": "#" * (LARGEST + 1),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_recipe_that_is_no_plain_text_is_refused_in_one_line(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, content = tmp_path / "recipe.yaml", REFUSED[name]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    tracemalloc.start()
    began = time.perf_counter()
    try:
        with pytest.raises(UserError, match=r"recipe\.yaml: ") as caught:
            load_recipe(str(path))
        assert tracemalloc.get_traced_memory()[1] < 3000 * min(path.stat().st_size, LARGEST) + 5_000_000
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - began < 60
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    assert not (tmp_path / "executed").exists()


def test_an_alias_of_a_value_is_that_value(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: &one [1, 2]\nb: {c: *one, <<: &two {d: 3}}\ne: *two\n")
    assert read_yaml(path) == {"a": [1, 2], "b": {"c": [1, 2], "d": 3}, "e": {"d": 3}}
    path.write_text("")
    assert read_yaml(path) is None


@pytest.mark.parametrize("text", ["1:30", "-1:59:59", "0:0.5", "190:20:30.15"])
def test_there_are_no_numbers_of_base_60(text):
    assert plain_value(f"a: {text}") == {"a": text}
    assert plain_value(f"{text}: 1.5") == {text: 1.5}


def test_minutes_without_end_take_no_time(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: 1" + ":59" * 60_000 + "\nb: -1" + ":59" * 6_000 + ".5")
    began = time.process_time()
    assert read_yaml(path)["a"].count(":") == 60_000
    assert time.process_time() - began < 1  # as numbers: 4 s


def test_an_override_is_read_as_a_recipe_is():
    assert load_recipe("demo", ["run.output_dir=1:30"]).run.output_dir == "1:30"
    for value in ("2001-99-99", "[" * 5000, "!!int 1:30"):
        with pytest.raises(UserError, match=r"^-o run\.output_dir=.*: the value is not valid YAML$"):
            load_recipe("demo", [f"run.output_dir={value}"])
