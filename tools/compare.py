"""Train recipes with several seeds and compare them: python tools/compare.py --run CDS=sports10_cpu ..."""

import argparse
from pathlib import Path

from ppcds import cli
from ppcds.engine.plan import common_threads, plan_runs
from ppcds.runtime import choose_device, prepare_processor


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Train every recipe with every seed, one after another, each in OUTPUT/<label>/seed<k>, "
        "and write comparison.md, .csv and .png. The same command goes on with an interrupted comparison.",
        epilog='example: python tools/compare.py --run "cross entropy=sports10_cpu,method.name=supervised" '
        '--run "CDS=sports10_cpu" --seeds 0 1 2 -o optim.epochs=20',
    )
    parser.add_argument(
        "--run", action="append", required=True, metavar="LABEL=RECIPE[,KEY=VALUE...]",
        help="a row of the table: a recipe, and what it changes (repeat for more)",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="SEED", help="default: 0")
    parser.add_argument(
        "-o", "--override", action="append", default=[], metavar="KEY=VALUE",
        help="change one key of every run; a run's own changes come after it (repeat for more)",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("output/compare"), help="default: %(default)s")
    parser.add_argument("--table-only", action="store_true", help="train nothing: compare what is finished")
    parser.add_argument("--device", help="cpu, gpu or gpu:N (default: a GPU if Paddle sees one)")
    args = parser.parse_args()
    plan = plan_runs(args.run, args.seeds, args.override, args.output)
    recipes = [recipe for runs in plan.values() for recipe in runs.values()]

    prepare_processor(common_threads(recipes))
    choose_device(args.device)  # before anything else loads Paddle
    from ppcds.engine.series import run_series
    from ppcds.engine.stop import Stopped
    from ppcds.report.comparison import write_comparison
    from ppcds.report.run_result import read_result

    failed = {}
    try:
        if not args.table_only:
            failed = run_series(recipes)
    except Stopped as stopped:
        return 128 + stopped.signum
    results = {
        label: {seed: read_result(recipe) for seed, recipe in runs.items()} for label, runs in plan.items()
    }
    remarks = [f"Failed: {folder}: {why}" for folder, why in failed.items()]
    print(write_comparison(args.output, results, remarks))
    print(f"  results    {args.output}/comparison.md, comparison.csv, comparison.png")
    return 1 if failed else 0


if __name__ == "__main__":
    cli.run(main)
