"""What each section of the benchmark measures against what, and that its work is done."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

from ppcds.benchmark import growth, input, loss, ranks, startup, step, timing

SECONDS = {"notebook.py": 8.0, "pytorch_way.py": 6.0, "step.py": 2.0, "input.py": 4.0, "loss.py": 1.0}


class Contestant:
    """Takes what SECONDS says; two workers half of it."""

    made = []

    def __init__(self, source, make, cores=None, **options):
        self.source, self.make, self.options = source, make, options
        self.made.append(self)

    def run(self):
        return SECONDS[self.source] / self.options.get("workers", 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def contestants(monkeypatch):
    """Those that are made, without a process; each section is to make its own."""
    monkeypatch.setattr(Contestant, "made", [])
    for module in (growth, input, loss, step):
        monkeypatch.setattr(module, "Contestant", Contestant)
    return Contestant.made


def ratios(measures):
    return {name: measure.ratio for name, measure in measures.items()}


@pytest.mark.parametrize("torch", [True, False])
def test_a_step_is_measured_against_the_notebook_and_against_torch_where_it_is(
    contestants, monkeypatch, capsys, torch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: torch or None)
    assert ratios(step.measure(quick=True)) == {"vs_notebook": 4.0, **({"vs_torch": 3.0} if torch else {})}
    assert ("step.vs_torch is left out" in capsys.readouterr().out) == (not torch)
    assert {str(one.options) for one in contestants} == {"{'width': 16, 'size': [32, 32], 'images': 32}"}


def test_reading_is_measured_against_the_notebook_and_two_workers_against_one(contestants, monkeypatch):
    monkeypatch.setattr(input, "write_sports10", lambda root, files, images: root)
    assert ratios(input.measure(quick=True)) == {
        "first_pass_vs_notebook": 2.0,
        "first_pass_exact_vs_notebook": 2.0,
        "cached_vs_notebook": 2.0,
        "two_workers_vs_one": 2.0,
    }
    ours = [one.options for one in contestants if one.source == "input.py"]
    assert [(given.get("decode"), given.get("cache")) for given in ours[:3]] == [
        *(("fast", "ignore"), ("exact", "ignore"), ("exact", "build")),
    ]


def test_the_loss_is_measured_in_time_and_memory(contestants):
    found = loss.measure(quick=True)
    assert ratios(found) == {"memory_saving": 8.0, "speedup": 8.0}
    assert found["memory_saving"].as_json()["unit"] == "times less memory"


def test_ranks_are_measured_against_one_process_of_as_many_threads(monkeypatch):
    took = {(1, 1): 6.0, (1, 2): 3.0, (2, 1): 2.0}
    launched = []

    class Launched:
        def __init__(self, number, width, steps, threads):
            self.setup = number, threads
            launched.append(self.setup)

        def run(self):
            return took[self.setup]

    monkeypatch.setattr(ranks, "Launched", Launched)
    assert ratios(ranks.measure(quick=True)) == {"two_ranks_vs_one": 3.0, "two_ranks_vs_two_threads": 1.5}
    assert launched == list(took)


def test_a_launched_run_tells_the_median_of_its_steps_or_what_it_said():
    one = ranks.Launched(1, 2, 1, threads=1)
    one.arguments = ["4", "2", "1"]
    assert one.environment()["OMP_NUM_THREADS"] == "1"
    assert 0 < one.run() < 60
    one.arguments = []
    with pytest.raises(RuntimeError, match=r"ranks.py .* has failed:\n(.|\n)*missing 3 required"):
        one.run()


def test_the_first_rank_writes_the_median_and_leaves_the_first_step_out(tmp_path, monkeypatch):
    clock = iter([0, 9, 10, 12, 20, 21, 30, 34])
    monkeypatch.setattr(ranks, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    ranks.train(str(tmp_path / "seconds"), "4", "2", "3")
    assert float((tmp_path / "seconds").read_text()) == 2


def test_a_step_of_the_benchmark_moves_the_weights_and_tells_its_seconds():
    work = step.stepping(width=2, size=[32, 32], images=4)
    assert work() > 0 and work() > 0
    trained, paddle = step.prepared_step(2, [32, 32], 4, None)
    weights = [weight.numpy().copy() for weight in trained.method.parameters() if not weight.stop_gradient]
    trained([paddle.randn([4, 3, 32, 32]) for _ in range(2)], paddle.arange(4), lambda parts: None)
    after = [weight.numpy() for weight in trained.method.parameters() if not weight.stop_gradient]
    assert all((one != other).any() for one, other in zip(weights, after))


def test_growth_tells_each_line_of_each_panel_with_its_count(contestants, monkeypatch):
    monkeypatch.setattr(growth, "write_sports10", lambda root, files, images: root)
    monkeypatch.setattr(growth, "Launched", lambda number, width, steps, threads: Contestant("loss.py", ""))
    epochs = [images * 4 / growth.BATCH for images in (256, 512)]
    assert list(growth.of_images(quick=True)) == [
        *(("pack once", 256, 4.0), ("an epoch from the cache", 256, epochs[0])),
        *(("pack once", 512, 4.0), ("an epoch from the cache", 512, epochs[1])),
    ]
    both = [
        (line, rows, t) for rows in (512, 1024) for line, t in (("the notebook's formula", 8), ("ppcds", 1))
    ]
    assert list(growth.of_rows(quick=True)) == both
    large = [rows for line, rows, _ in growth.of_rows(quick=False) if line != "ppcds"]
    assert max(large) == 16384  # beyond, its matrices would not fit
    assert list(growth.of_processes(quick=True)) == [
        *(("reading a batch, workers", 1, 4.0), ("reading a batch, workers", 2, 2.0)),
        *(("training a batch, ranks", 1, 1.0), ("training a batch, ranks", 2, 1.0)),
    ]


def test_a_commands_processor_time_is_that_of_the_command():
    idle = startup.Command("-c", "import time; time.sleep(0.5)").run()
    busy = startup.Command("-c", "import time\nwhile time.process_time() < 1: pass").run()
    assert idle < 0.5 and busy >= 0.9


def test_a_contestant_that_does_not_end_is_ended(tmp_path, monkeypatch):
    source = Path(tmp_path / "way.py")
    source.write_text("import time\ndef make():\n    return lambda: 1\ntime.sleep(0)\n")
    with timing.Contestant(str(source), "make") as contestant:
        wait, calls = contestant.process.wait, []

        def late(timeout=None):
            calls.append(timeout)
            if timeout:
                raise timing.subprocess.TimeoutExpired("way", timeout)
            return wait()

        monkeypatch.setattr(contestant.process, "wait", late)
    assert calls == [20, None] and contestant.process.poll() is not None
