"""SimCLR v2, all three steps: python tools/simclr_v2.py -o data.root=data/d/ImageNet"""

import argparse

from ppcds import cli
from ppcds.engine.plan import Step, common_threads
from ppcds.runtime import choose_device, prepare_processor

STEPS = (
    Step("pretrain", "simclr_v2_pretrain"),
    Step("finetune", "simclr_v2_finetune", starts_from="model.pretrained"),
    Step("distill", "simclr_v2_distill", starts_from="method.teacher_weights"),
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=f"Run {', '.join(step.name for step in STEPS)} in this order, each from the last weights "
        "of the one before, and show their accuracies. The same command goes on where it was stopped.",
        epilog="example: python tools/simclr_v2.py -o data.root=data/d/ImageNet --distill-o model.width=32",
    )
    cli.add_chain_options(parser, STEPS)
    args = parser.parse_args()
    recipes = cli.chain_of(args, STEPS)

    prepare_processor(common_threads(recipes))
    choose_device(args.device)  # before anything else loads Paddle
    from ppcds.engine.series import run_chain
    from ppcds.engine.stop import Stopped
    from ppcds.report.comparison import comparison_text
    from ppcds.report.run_result import read_result

    try:
        run_chain(STEPS, recipes)
    except Stopped as stopped:
        return 128 + stopped.signum
    results = {step.name: {recipe.run.seed: read_result(recipe)} for step, recipe in zip(STEPS, recipes)}
    print(comparison_text(results))
    return 0


if __name__ == "__main__":
    cli.run(main)
