"""tools/report.py as its user runs it."""

import html
import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pandas as pd
import pytest

from ppcds.config import load_recipe
from ppcds.engine.trainer import Trainer
from ppcds.errors import UserError

TOOL = str(Path(__file__).parents[1] / "tools" / "report.py")
HOSTILE = "<b onclick=alert(1)>&'\"x"  # as a class and as a folder


@pytest.fixture
def report(monkeypatch):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", [TOOL, *map(str, arguments)])
        return runpy.run_path(TOOL)["main"]()

    return call


def cells(page, first):
    """The texts of the cells of the table row whose first cell is `first`."""
    for row in re.findall("<tr>(.*?)</tr>", page, flags=re.S):
        found = [html.unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall("<td.*?</td>", row)]
        if found and found[0] == first:
            return found
    raise AssertionError(f"no row {first}")


def drawn(page):
    return json.loads(re.search('id="drawn">(.*?)</script>', page, flags=re.S)[1])


def test_the_page_tells_what_eval_measures(trained_run, tmp_path):
    output = tmp_path / "report.html"
    command = [sys.executable, TOOL, str(trained_run), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert f"report     {output} (" in done.stdout
    page = output.read_text(encoding="utf-8")

    weights = ["--weights", str(trained_run / "best_model.pdparams"), "--output", str(tmp_path / "eval")]
    tool = str(Path(TOOL).with_name("eval.py"))
    subprocess.run([sys.executable, tool, *weights], check=True, capture_output=True, timeout=280)
    measured = json.loads((tmp_path / "eval" / "metrics.json").read_text(encoding="utf-8"))
    assert f"<dd>{measured['top1_accuracy'] * 100:.2f} %</dd>" in page
    for name, numbers in measured["classes"].items():
        wanted = [f"{numbers[key]:.4f}" for key in ("precision", "recall", "f1")]
        assert cells(page, name) == [name, *wanted, str(numbers["support"])]
    confusion = pd.read_csv(tmp_path / "eval" / "confusion.csv", index_col="true class")
    rows = [row for rows in drawn(page)["datasets"].values() for row in rows]
    counted = {
        (row["true"], row["predicted"]): row["images"] for row in rows if "predicted" in row and "true" in row
    }
    assert counted == {(i, j): n for i, row in confusion.iterrows() for j, n in row.items() if n}
    last = pd.read_csv(trained_run / "metrics.csv").iloc[-1]
    accuracy = [
        row["value"] for row in rows if row.get("series") == "eval accuracy" and row.get("epoch") == 8
    ]
    assert accuracy == [pytest.approx(last["eval_accuracy"])]

    assert len(output.read_bytes()) < 2_000_000
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:|#)""", page.split("<main>")[1].split("</main>")[0])
    assert len(re.findall('class="cam ', page)) == min(6, round(20 * (1 - measured["top1_accuracy"]))) + min(
        6, round(20 * measured["top1_accuracy"])
    )
    assert len(drawn(page)["specs"]) == len(re.findall('<figure class="chart', page)) >= 11
    assert not (trained_run / "report.html").exists()


def test_names_that_are_markup_are_shown_as_text(tiny_sports10, trained_run, tmp_path, report):
    root = tiny_sports10
    for split in ("train", "val"):
        table = pd.read_csv(root / f"{split}_split.csv")
        hostile = table["class"] == "Tennis"
        table.loc[hostile, "filename"] = [f"{HOSTILE[:8]}{split}{i}.jpg" for i in range(hostile.sum())]
        for name in table.loc[hostile, "filename"]:
            shutil.copy(root / "Tennis" / "val_0.jpg", root / name)
        table.loc[hostile, "class"] = HOSTILE
        table.to_csv(root / f"{split}_split.csv", index=False)
    run = shutil.copytree(trained_run, tmp_path / "<i>run")
    classes = sorted(set(pd.read_csv(root / "train_split.csv")["class"]))
    with open(run / "train.log", "a", encoding="utf-8") as log:
        log.write("</pre><script>alert(3)</script>\n")
    overrides = ["-o", f"data.root={root}", "-o", f"data.classes={json.dumps(classes)}"]
    assert report(run, *overrides, "--output", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b onclick" not in page and "alert(3)</script>" not in page and "<i>run" not in page
    assert cells(page, HOSTILE)[4] == "2" and "&lt;i&gt;run" in page
    assert any(row.get("class") == HOSTILE for rows in drawn(page)["datasets"].values() for row in rows)


def test_several_runs_are_compared_and_one_without_classifier_says_so(
    trained_run, tiny_sports10, tmp_path, report
):
    root = trained_run.parent / "Sports10"
    data = ["data.layout=csv", f"data.root={root}", "data.size=[32, 32]", "data.batch_size=8"]
    small = ["method.name=simclr", "model.head={widths: [16, 8]}", "model.width=2", "optim.epochs=1"]
    Trainer(load_recipe("demo", [*data, *small, f"run.output_dir={tmp_path / 'simclr'}"])).train()
    again = shutil.copytree(trained_run, tmp_path / "again")
    recipe = (again / "recipe.yaml").read_text().replace("seed: 0\n  threads", "seed: 1\n  threads")
    (again / "recipe.yaml").write_text(recipe)
    assert report(trained_run, again, tmp_path / "simclr", "--output", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Method simclr trains no classifier. In its place the 20 nearest" in page
    assert "without a classifier there is no class whose evidence" in page
    accuracy = pd.read_csv(trained_run / "metrics.csv")["eval_accuracy"]
    assert cells(page, "run, again")[1:3] == ["0, 1", f"{accuracy.max() * 100:.2f} % ± 0.00 %"]
    pair = cells(page, "run")  # of the table of pairs, the first row in which it stands is of the accuracies
    assert pair[3] == f"{accuracy.max() * 100:.2f} %" and pair[-1] == "classifier"
    assert re.search(r"<td>run</td><td>again</td><td>0</td><td>0</td><td>\+0.00</td>", page)
    assert "Holm" in page and cells(page, "simclr")[-1] == "neighbours"


def test_a_report_lies_in_the_folder_of_its_run_and_the_last_weights_can_be_asked_for(
    trained_run, tmp_path, report, capsys
):
    run = shutil.copytree(trained_run, tmp_path / "run")
    assert report(run, "--weights", "last") == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    accuracy = pd.read_csv(run / "metrics.csv")["eval_accuracy"].iloc[-1]
    assert f"<dd>{accuracy * 100:.2f} %</dd>" in page and "nothing was chosen" in page
    assert "weights of epoch 8" in page and "report.html (" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--split", "test"], "no file .*test_split.csv"),
        (["-o", "model.width=8"], "best_model.pdparams: weights of another network"),
        (["-o", "model.width"], "write section.key=value"),
    ],
)
def test_a_mistake_is_told_in_words_and_writes_nothing(trained_run, tmp_path, report, arguments, said):
    with pytest.raises(UserError, match=said):
        report(trained_run, "--output", tmp_path / "page.html", *arguments)
    assert not list(tmp_path.iterdir())


def test_a_broken_image_ends_the_report_with_its_name_or_is_told_of(
    tiny_sports10, trained_run, tmp_path, report
):
    (tiny_sports10 / "Tennis" / "val_1.jpg").write_bytes(b"no image")
    arguments = [trained_run, "-o", f"data.root={tiny_sports10}", "--output", tmp_path / "page.html"]
    with pytest.raises(UserError, match=r"Tennis.val_1.jpg"):
        report(*arguments)
    assert report(*arguments, "-o", "data.on_bad_image=skip") == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert re.search(r"skipped: .*Tennis.val_1.jpg", page) and "<small>19 images" in page
    assert cv2.imread(str(tiny_sports10 / "Tennis" / "val_0.jpg")) is not None


def test_missing_packages_are_named_with_the_extra_that_brings_them(trained_run, report, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *_: None if name == "altair" else find(name)
    )
    with pytest.raises(UserError, match=r'needs altair: pip install -e ".\[report\]"'):
        report(trained_run)


def test_help_and_mistakes_in_arguments_do_not_load_paddle(tmp_path):
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print('loaded' if 'paddle' in sys.modules else 'not loaded')"
    )
    for argument, said in (("--help", "usage"), (str(tmp_path), "is not a run")):
        done = subprocess.run([sys.executable, "-c", code, TOOL, argument], capture_output=True, text=True)
        assert said in done.stdout + done.stderr
        assert done.stdout.split("\n")[-2] == "not loaded"
