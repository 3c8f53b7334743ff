"""tools/export.py as its user runs it, and the README's example on what it has written."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from ppcds.errors import UserError
from ppcds.export import formats

ROOT = Path(__file__).parents[1]
TOOL = str(ROOT / "tools" / "export.py")
HERE = [name for name in formats.WRITERS if formats.reason_against(name) is None]


@pytest.fixture(scope="module")
def exported(trained_run, tmp_path_factory):
    """(the folder that the command line has written, what it said)."""
    folder = tmp_path_factory.mktemp("tool") / "export"
    weights = ["--weights", str(trained_run / "best_model.pdparams"), "--output", str(folder)]
    command = [sys.executable, TOOL, *weights, "--latency", "1", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def export(monkeypatch, trained_run, *arguments):
    weights = ["--weights", str(trained_run / "best_model.pdparams")]
    monkeypatch.setattr(sys, "argv", [TOOL, *weights, *map(str, arguments)])
    return runpy.run_path(TOOL)["main"]()


def test_sizes_differences_and_latencies_are_printed(exported):
    folder, said = exported
    files = {f"model.{name}" for name in HERE} | {"model.pdiparams", "preprocess.json"}
    assert {path.name for path in folder.iterdir()} == files
    assert re.match(
        r"(not written: .*\n)*[\d,]+ parameters and [\d,]+ running statistics; no training heads", said
    )
    for path in folder.iterdir():
        (line,) = [
            line
            for line in said.splitlines()
            if line.split("  ")[-1].startswith(str(path)) or str(path) in line
        ]
        assert f"{path.stat().st_size:,} bytes" in line
        assert ("largest difference" in line) == (path.stem == "model" and path.suffix != ".pdiparams")
    table = said.split("milliseconds a batch, ")[1].splitlines()
    assert re.search(r", \d+ threads?$", table[0])
    assert table[1].split() == ["batch", "network", *(f"model.{name}" for name in HERE)]
    assert [line.split()[0] for line in table[2:]] == ["1", "2"]


def test_the_readmes_example_predicts_without_ppcds_what_predict_does(
    exported, trained_run, monkeypatch, capsys, tmp_path
):
    (example,) = [
        block
        for block in re.findall(
            r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.M | re.S
        )
        if "preprocess.json" in block
    ]
    assert len([line for line in example.splitlines() if line]) <= 20 and "ppcds" not in example
    (tmp_path / "example.py").write_text(
        "import sys\nsys.modules['ppcds'] = None\n" + example, encoding="utf-8"
    )
    photos = sorted(map(str, (trained_run.parent / "Sports10").glob("*/val_*.jpg")))
    command = [sys.executable, str(tmp_path / "example.py"), str(exported[0]), *photos]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines() if ".jpg " in line)

    tool = str(ROOT / "tools" / "predict.py")
    weights = ["--weights", str(trained_run / "best_model.pdparams")]
    monkeypatch.setattr(sys, "argv", [tool, *photos, *weights, "--top", "1", "--format", "json"])
    assert runpy.run_path(tool)["main"]() == 0
    predicted = json.loads(capsys.readouterr().out)
    assert found == {entry["file"]: entry["predictions"][0]["class"] for entry in predicted}
    assert len(set(found.values())) > 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "model.width=8"], "best_model.pdparams: weights of another network"),
        (
            ["-o", "views.eval=[RandomHorizontalFlip, ToArray]"],
            r"views.eval\[0\]: RandomHorizontalFlip cannot be",
        ),
    ],
)
def test_a_mistake_is_told_in_words_and_writes_nothing(monkeypatch, trained_run, tmp_path, arguments, said):
    with pytest.raises(UserError, match=said):
        export(monkeypatch, trained_run, "--output", tmp_path / "export", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_run_is_not_replaced(monkeypatch, trained_run):
    before = sorted(path.name for path in trained_run.iterdir())
    with pytest.raises(UserError, match="holds other files .*: name a folder that is new or empty"):
        export(monkeypatch, trained_run, "--output", trained_run)
    assert sorted(path.name for path in trained_run.iterdir()) == before


def test_help_and_mistakes_in_arguments_do_not_load_paddle(tmp_path):
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print('loaded', sorted({'paddle', 'numpy', 'onnxruntime'} & set(sys.modules)))"
    )
    weights = ["--weights", str(tmp_path / "w.pdparams")]
    for arguments, said in (
        (["--help"], "usage"),
        (weights, "w.pdparams: no such file"),
        ([*weights, "--latency", "0"], "argument --latency: 1 is the least"),
        ([*weights, "--formats", "pb"], "argument --formats: invalid choice: 'pb'"),
        ([*weights, "--device", "gpu"], "unrecognized arguments: --device gpu"),
    ):
        done = subprocess.run([sys.executable, "-c", code, TOOL, *arguments], capture_output=True, text=True)
        assert said in done.stdout + done.stderr
        assert done.stdout.splitlines()[-1] == "loaded []"
