"""The notebooks as they are stored, and as a newcomer runs them."""

import ast
import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
WALKTHROUGH = REPOSITORY / "notebooks" / "01_cds_sports10.ipynb"
CHINESE = re.compile("[\u4e00-\u9fff]")
OF_ONE_MACHINE = re.compile(r"""(^|[\s"'(=:])(/(home|root|work|tmp|usr|opt|mnt|var|Users)/|[A-Za-z]:\\)""")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


def cells(path, kind):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def texts(cell):
    """What the stored outputs of a code cell say."""
    said = []
    for output in cell["outputs"]:
        data = {"text": output.get("text", ""), **output.get("data", {})}
        said += ["".join(value) for mime, value in data.items() if mime.startswith("text")]
    return said


def test_code_compiles_on_its_own_and_defines_no_class_and_no_training_loop(path):
    assert cells(path, "code")
    for cell in cells(path, "code"):
        tree = ast.parse(source(cell))  # plain Python: no magic commands, which only Jupyter knows
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)], source(cell)
        assert ".backward(" not in source(cell)


def test_stored_outputs_are_of_one_whole_run_without_errors_and_noise(path):
    code = cells(path, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr", "warnings and progress bars are not to be stored"
        assert not any(word in text for text in texts(cell) for word in ("\r", "it/s]", "Warning"))


def test_nothing_names_a_path_of_one_machine(path):
    for cell in [*cells(path, "code"), *cells(path, "markdown")]:
        for text in [source(cell), *(texts(cell) if "outputs" in cell else [])]:
            assert not OF_ONE_MACHINE.search(text), text


def test_every_text_is_in_chinese_and_in_english(path):
    for cell in cells(path, "markdown"):
        paragraphs = source(cell).split("\n\n")
        english = [text for text in paragraphs if not CHINESE.search(text)]
        assert len(english) < len(paragraphs), source(cell)
        assert any(len(re.findall("[A-Za-z]{2,}", text)) >= 8 for text in english), source(cell)


def test_a_notebook_is_a_small_valid_file_for_any_python_kernel(path):
    assert path.stat().st_size < 1_500_000
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    nbformat = pytest.importorskip("nbformat")  # extra: notebooks
    nbformat.validate(nbformat.read(path, as_version=4))


def test_the_walkthrough_stores_no_picture_of_its_data():
    shown = [
        cell
        for cell in cells(WALKTHROUGH, "code")
        if "load_image(" in source(cell) or ("first_views" in source(cell) and "imshow" in source(cell))
    ]
    assert len(shown) == 2
    assert all(cell["outputs"] == [] for cell in shown)


def test_the_walkthrough_shows_the_value_of_the_worked_example():
    said = "".join(text for cell in cells(WALKTHROUGH, "code") for text in texts(cell))
    (value,) = re.findall(r"with labels 1, 2, 1: (\d+\.\d+)", said)
    assert float(value) == pytest.approx(2.38157272, abs=1e-5)


def run_copy(folder, changes):
    """Run the walk-through in a copy of the package, some of its code changed; returns what it says."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "ppcds", folder / "ppcds", ignore=ignored)
    shutil.copy(REPOSITORY / "setup.py", folder)
    (folder / "notebooks").mkdir()
    notebook = nbformat.read(WALKTHROUGH, as_version=4)
    for before, after in changes.items():
        matching = [cell for cell in notebook.cells if before in cell.source]
        assert len(matching) == 1, f"the notebook no longer has {before!r} in one cell"
        matching[0].source = matching[0].source.replace(before, after)
    where = {"metadata": {"path": str(folder / "notebooks")}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    return "".join(text for cell in notebook.cells if cell.cell_type == "code" for text in texts(cell))


@pytest.mark.slow
def test_the_walkthrough_runs_on_demo_frames(tmp_path, monkeypatch):
    pytest.importorskip("ale_py")
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # AI Studio has its data there
    small = {"train_per_class=80, val_per_class=20": "train_per_class=8, val_per_class=4"}
    said = run_copy(tmp_path, {**small, "optim.epochs=4": "optim.epochs=1"})
    assert "demo frames" in said and "80 training and 40 validation images" in said
    assert (tmp_path / "output" / "demo_notebook" / "best_model.pdparams").is_file()


@pytest.mark.slow
def test_the_walkthrough_unpacks_and_trains_on_a_mounted_archive(tiny_sports10, tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / "data" / "data1").mkdir(parents=True)
    with zipfile.ZipFile(home / "data" / "data1" / "Sports10.zip", "w") as archive:
        for file in sorted(tiny_sports10.rglob("*.*")):
            archive.write(file, f"Sports10/{file.relative_to(tiny_sports10)}")
    monkeypatch.setenv("HOME", str(home))
    copy = tmp_path / "copy"
    copy.mkdir()
    small = ["model.width=4", "data.size=[36, 64]", "data.batch_size=8", "data.num_workers=0"]
    small += ["optim.epochs=1", "run.ten_batch_accuracy=true"]
    said = run_copy(copy, {'["run.ten_batch_accuracy=true"]': repr(small)})
    assert "demo frames" not in said and "40 training and 20 validation images" in said
    assert (copy / "data" / "d" / "Sports10" / "prepare_summary.json").is_file()
    assert (copy / "output" / "sports10" / "best_model.pdparams").is_file()
