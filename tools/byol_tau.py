"""BYOL with several taus: python tools/byol_tau.py -c cifar10_byol_cpu --output output/byol_tau"""

import argparse
from pathlib import Path

from ppcds import cli
from ppcds.config import load_recipe
from ppcds.engine.plan import as_override
from ppcds.runtime import choose_device, prepare_processor

TAUS = (1.0, 0.999, 0.99, 0.9, 0.0)  # those of the paper's table 5a


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Train BYOL with each tau, measure the features of its last epoch beside the untrained "
        "encoder's, and write byol_tau.md, .csv and .png. The same command goes on where it was stopped.",
        epilog="example: python tools/byol_tau.py -c cifar10_byol_cpu -o optim.epochs=10 --tau 1 0.99 0",
    )
    cli.add_recipe_options(parser, default="byol")
    parser.add_argument(
        "--tau", type=float, nargs="+", default=TAUS, metavar="TAU", help="default: %(default)s"
    )
    parser.add_argument("--output", type=Path, default=Path("output/byol_tau"), help="default: %(default)s")
    args = parser.parse_args()
    recipes = {}
    for tau in args.tau:
        keys = [f"method.tau={tau}", as_override("run.output_dir", args.output / f"tau{tau:g}")]
        recipes[tau] = load_recipe(args.recipe, [*args.override, *keys])

    prepare_processor(recipes[args.tau[0]].run.threads)
    choose_device(args.device)  # before anything else loads Paddle
    from ppcds.engine.run_features import measure_run
    from ppcds.engine.series import run_series
    from ppcds.engine.stop import Stopped
    from ppcds.report.tau import tau_table, write_tau

    try:
        failed = run_series(list(recipes.values()))
    except Stopped as stopped:
        return 128 + stopped.signum
    measured = {None: measure_run(recipes[args.tau[0]], trained=False)}
    for tau, recipe in recipes.items():
        if recipe.run.output_dir not in failed:
            measured[tau] = measure_run(recipe, trained=True)
    print(write_tau(args.output, tau_table(measured)))
    print(f"  results    {args.output}/byol_tau.md, byol_tau.csv, byol_tau.png")
    return 1 if failed else 0


if __name__ == "__main__":
    cli.run(main)
