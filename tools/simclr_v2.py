"""SimCLR v2, all three steps: python tools/simclr_v2.py -o data.root=data/d/ImageNet"""

import argparse
from dataclasses import replace
from pathlib import Path

from ppcds import cli
from ppcds.engine.plan import Step, plan_chain
from ppcds.runtime import choose_device, prepare_processor

STEPS = (
    Step("pretrain", "simclr_v2_pretrain"),
    Step("finetune", "simclr_v2_finetune", starts_from="model.pretrained"),
    Step("distill", "simclr_v2_distill", starts_from="method.teacher_weights"),
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=f"Run {', '.join(step.name for step in STEPS)} in this order, each from the best weights "
        "of the one before, and show their accuracies. The same command goes on where it was stopped.",
        epilog="example: python tools/simclr_v2.py -o data.root=data/d/ImageNet --distill-o model.width=32",
    )
    parser.add_argument(
        "--recipes", nargs=len(STEPS), metavar="NAME_OR_PATH", default=[step.recipe for step in STEPS],
        help="a recipe a step (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, help="their folders go there (default: as the recipes say)")
    change = {"action": "append", "default": [], "metavar": "KEY=VALUE"}
    parser.add_argument("-o", "--override", help="change one key of every step (repeat for more)", **change)
    for step in STEPS:
        parser.add_argument(f"--{step.name}-o", dest=step.name, help=f"of step {step.name} alone", **change)
    parser.add_argument("--device", help="cpu, gpu or gpu:N (default: a GPU if Paddle sees one)")
    args = parser.parse_args()
    steps = [replace(step, recipe=recipe) for step, recipe in zip(STEPS, args.recipes)]
    own = {step.name: getattr(args, step.name) for step in STEPS}
    recipes = plan_chain(steps, args.override, own, args.output)

    prepare_processor(recipes[0].run.threads)
    choose_device(args.device)  # before anything else loads Paddle
    from ppcds.engine.series import run_chain
    from ppcds.engine.stop import Stopped
    from ppcds.report.comparison import as_markdown, comparison_table, format_table
    from ppcds.report.run_result import read_result

    try:
        run_chain(recipes)
    except Stopped as stopped:
        return 128 + stopped.signum
    results = {step.name: {recipe.run.seed: read_result(recipe)} for step, recipe in zip(steps, recipes)}
    print(as_markdown(format_table(comparison_table(results))))
    return 0


if __name__ == "__main__":
    cli.run(main)
