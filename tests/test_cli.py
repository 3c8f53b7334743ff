"""What the command lines share."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from ppcds.cli import add_chain_options, chain_of
from ppcds.config import load_recipe
from ppcds.engine.plan import Step

TOOLS = Path(__file__).parents[1] / "tools"
STEPS = (Step("pretrain", "demo"), Step("finetune", "demo", starts_from="model.pretrained"))


def test_the_options_of_a_chain_are_those_of_its_steps():
    parser = argparse.ArgumentParser()
    add_chain_options(parser, STEPS)
    given = ["-o", "run.seed=3", "--finetune-o", "optim.epochs=2", "--recipes", "demo", "cifar10_cds"]
    first, second = chain_of(parser.parse_args([*given, "--output", "out"]), STEPS)
    assert (first.run.seed, second.run.seed, second.optim.epochs) == (3, 3, 2)
    assert first.optim.epochs != 2 and second.data.layout == load_recipe("cifar10_cds").data.layout
    assert second.model.pretrained == str(Path("out/pretrain/last_model.pdparams"))


@pytest.mark.parametrize(
    "said, command",
    [
        ("usage", "train.py --help"),
        ("no recipe 'sport', did you mean 'sports10'?", "train.py -c sport"),
        ("did you mean 'epochs'?", "train.py -o optim.epoch=3"),
        ("optim.epochs", "train.py -o optim.epochs=many"),
        ("usage", "eval.py --help"),
        ("no such file", "eval.py --weights nowhere.pdparams"),
        ("usage", "benchmark.py --help"),
    ],
)
def test_help_and_mistakes_in_arguments_load_neither_paddle_nor_numpy(said, command):
    """Help and messages come at once: Paddle takes seconds, NumPy a quarter of the rest."""
    tool, *arguments = command.split()
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print('loaded', sorted({'paddle', 'numpy', 'pandas', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(TOOLS / tool), *arguments], capture_output=True, text=True
    )
    assert said in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "loaded []"
