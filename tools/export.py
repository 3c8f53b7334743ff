"""Export a trained network: python tools/export.py --weights output/sports10/best_model.pdparams"""

import argparse
import os
from pathlib import Path

from ppcds import cli
from ppcds.export import FORMATS
from ppcds.runtime import choose_device, prepare_processor, processor_name


def main() -> int:
    parser = argparse.ArgumentParser(
        description="The network without its training heads, as files that run without ppcds: model.json "
        "(Paddle 3), model.pdmodel (Paddle 2 and 3), model.onnx, and preprocess.json beside them. Each is "
        "run and compared with the trained network before it is kept.",
        epilog="example: python tools/export.py --weights output/demo/best_model.pdparams --latency",
    )
    parser.add_argument("--weights", required=True, metavar="FILE", help="best_model.pdparams of a run")
    cli.add_recipe_options(parser, with_device=False)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, help="default: all that can be written here")
    parser.add_argument("--output", metavar="DIR", help="default: export beside the weights")
    parser.add_argument(
        "--latency", nargs="*", type=int, metavar="BATCH", help="time batches of these sizes (none: 1 and 16)"
    )
    args = parser.parse_args()
    if any(batch < 1 for batch in args.latency or []):
        parser.error("argument --latency: 1 is the least")
    recipe = cli.recipe_of_weights(args.recipe, args.weights, args.override)
    folder = Path(args.output or Path(args.weights).parent / "export")

    prepare_processor(recipe.run.threads, 2)  # errors alone: Paddle warns of its own way of tracing
    choose_device("cpu")  # before anything else loads Paddle
    from ppcds.datasets.build import recipe_classes
    from ppcds.engine.deployed import load_deployed
    from ppcds.export import model_folder
    from ppcds.export.latency import latency_table, measure_latency
    from ppcds.export.runtimes import open_model

    formats = model_folder.choose_formats(args.formats, print)
    classes = recipe_classes(recipe)
    say = None if args.formats else print
    found = model_folder.write_model_folder(folder, recipe, classes, args.weights, formats, say)
    network = load_deployed(recipe, len(classes), args.weights)
    learned, statistics = model_folder.count_parameters(network)
    print(f"{learned:,} parameters and {statistics:,} running statistics; no training heads")
    for file in sorted(folder.iterdir()):
        agrees = f"  largest difference {found[file.name].largest:.1g}" if file.name in found else ""
        print(f"  {file.stat().st_size:>12,} bytes  {file}{agrees}")
    if args.latency is not None:
        threads = int(os.environ["OMP_NUM_THREADS"])
        models = {"network": model_folder.as_model(network)}
        models.update({name: open_model(folder / name, threads) for name in found})
        sizes = args.latency or [1, 16]
        measured = {batch: measure_latency(models, (3, *recipe.data.size), batch) for batch in sizes}
        print(latency_table(measured, f"{processor_name()}, {threads} thread{'s' * (threads > 1)}"))
    return 0


if __name__ == "__main__":
    cli.run(main)
