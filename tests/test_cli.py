"""What the command lines share."""

import argparse
from pathlib import Path

from ppcds.cli import add_chain_options, chain_of
from ppcds.config import load_recipe
from ppcds.engine.plan import Step

STEPS = (Step("pretrain", "demo"), Step("finetune", "demo", starts_from="model.pretrained"))


def test_the_options_of_a_chain_are_those_of_its_steps():
    parser = argparse.ArgumentParser()
    add_chain_options(parser, STEPS)
    given = ["-o", "run.seed=3", "--finetune-o", "optim.epochs=2", "--recipes", "demo", "cifar10_cds"]
    first, second = chain_of(parser.parse_args([*given, "--output", "out"]), STEPS)
    assert (first.run.seed, second.run.seed, second.optim.epochs) == (3, 3, 2)
    assert first.optim.epochs != 2 and second.data.layout == load_recipe("cifar10_cds").data.layout
    assert second.model.pretrained == str(Path("out/pretrain/last_model.pdparams"))
