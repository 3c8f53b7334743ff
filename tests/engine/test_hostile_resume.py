"""A run folder of others that is resumed: its recipe cannot ask for more memory than its weights need."""

import json
import re
import subprocess
import sys

import pytest

from ppcds.datasets import Sports10
from ppcds.engine.checkpoint import TrainState, save_checkpoint
from ppcds.engine.optimizers import build_optimizer
from ppcds.methods.build import build_method, complete_options
from ppcds.weights import save_weights

RESUME = """
import json, resource, sys
from ppcds.config import load_recipe
from ppcds.errors import UserError
from ppcds.runtime import load_paddle, prepare_processor
prepare_processor(1)
load_paddle()
from ppcds.engine.trainer import Trainer
from ppcds.models.processor_conv import onednn_trains
onednn_trains()  # which asks for memory of its own
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 1_500_000_000, resource.RLIM_INFINITY))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
said = {}
for folder in sys.argv[1:]:
    try:
        Trainer(load_recipe(folder + "/recipe.yaml"), resume=True)
        said[folder] = "resumed"
    except UserError as error:
        said[folder] = str(error)
    except BaseException as error:
        said[folder] = f"{type(error).__name__}: {error}"
print(json.dumps([said, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024]))
"""
HEAD = "model.head={widths: [8, 4]}"
HOSTILE = {  # what the checkpoint is of, what its recipe asks for, and how that is refused
    "width": ([], ["model.width=100000"], "weights of another network: .* of another shape"),
    "width_beyond_numbers": ([], ["model.width=1000000000"], "another network|too large to be made"),
    "width_of_thirty_digits": ([], ["model.width=1" + "0" * 30], "too large to be made"),
    "mlp": ([], ["method.mlp=[1000000000]"], "weights of another network: .* missing"),
    "mlp_of_thirty_digits": ([], ["method.mlp=[1" + "0" * 30 + "]"], "too large to be made"),
    "layers": ([], [f"method.mlp=[{'1, ' * 20_000}1]"], "a projection head of 20001 layers"),
    "head": (["method.name=simclr", HEAD], ["model.head={widths: [999999999]}"], "another network"),
    "queue": (
        ["method.name=moco", HEAD, "method.queue_size=8"],
        ["method.queue_size=1000000000000"],
        r"method\.queue_size: 1000000000000 keys",
    ),
    "queue_of_another_size": (
        ["method.name=moco", HEAD, "method.queue_size=8"],
        ["method.queue_size=64"],
        r"queue is \[8, 4\], not \[64, 4\]",
    ),
}


@pytest.fixture
def run_of(tiny_recipe, tmp_path):
    """run_of(name, real, hostile): a folder whose checkpoint is of one recipe and says it is of another."""

    def make(name, real, hostile):
        recipe, folder = tiny_recipe(*real), tmp_path / name
        method = build_method(recipe, 10)
        asked = tiny_recipe(*real, *hostile, f"run.output_dir={folder}")
        complete_options(asked)
        asked.data.classes = list(Sports10.CLASSES)
        optimizer = build_optimizer(recipe.optim, method.parameters())
        save_checkpoint(folder / "latest.safetensors", asked, TrainState(), method, optimizer)
        save_weights(method.deployed().state_dict(), folder / "best_model.pdparams")
        asked.save(folder / "recipe.yaml")
        return str(folder)

    return make


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_hostile_recipe_is_refused_before_its_network_takes_memory(run_of):
    wanted = {run_of(name, *recipes): words for name, (*recipes, words) in HOSTILE.items()}
    (width,) = (folder for folder in wanted if folder.endswith("/width"))
    for number, file in enumerate(("best_model.pdparams", "latest.safetensors")):  # of a hostile teacher
        taught = ["method.name=distillation", f"method.teacher_weights={width}/{file}"]
        folder = run_of(f"taught{number}", ["method.name=supervised"], taught)
        wanted[folder] = f"^{width}/{file}: weights of another network"
    command = [sys.executable, "-c", RESUME, *wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    said, grown = json.loads(done.stdout.splitlines()[-1])
    assert [folder for folder, words in wanted.items() if not re.search(words, said[folder])] == [], said
    assert grown < 300  # MB
