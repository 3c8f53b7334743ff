"""Measure a representation: python tools/probe.py --weights output/simclr/best_model.pdparams"""

import argparse
from pathlib import Path

from ppcds import cli
from ppcds.config import load_recipe
from ppcds.runtime import choose_device, prepare_processor, seed_step


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Nearest neighbours, linear probe and effective rank of features, kept by the weights.",
        epilog="example: python tools/probe.py --weights output/simclr/best_model.pdparams --labels 0.1 1",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--weights", metavar="FILE", help="best_model.pdparams of a run")
    which.add_argument("--random", action="store_true", help="the first weights of a run of -c, to compare")
    cli.add_recipe_options(parser)
    shares = {"nargs": "+", "type": float, "default": [1.0], "metavar": "SHARE"}
    parser.add_argument("--labels", help="shares of all labels to train the probe on (default: 1)", **shares)
    layer = {"type": int, "default": 0, "choices": range(10), "metavar": "K"}
    parser.add_argument("--head-layer", help="after K layers of the projection head (default: 0)", **layer)
    parser.add_argument("--output", metavar="FILE", help="default: <weights>[_headK]_probe.json beside them")
    args = parser.parse_args()
    if not all(0 < share <= 1 for share in args.labels):
        parser.error("argument --labels: a share is above 0 and at most 1")
    if args.weights:
        recipe, place = cli.recipe_of_weights(args.recipe, args.weights, args.override), Path(args.weights)
    elif args.recipe:
        recipe = load_recipe(args.recipe, args.override)
        place = Path(f"{Path(recipe.run.output_dir)}_random", f"seed{recipe.run.seed}")  # no file
    else:
        parser.error("argument --random: name the recipe (-c)")

    prepare_processor(recipe.run.threads)
    choose_device(args.device)  # before anything else loads Paddle
    from ppcds.datasets.build import build_probe_splits
    from ppcds.engine.deployed import build_deployed, load_deployed
    from ppcds.engine.features import features_of_split
    from ppcds.engine.probe import measure_representation
    from ppcds.report.representation import representation_table, write_representation

    splits = build_probe_splits(recipe)
    classes = len(splits[1].classes)
    seed_step(recipe.run.seed)  # as a run starts
    network = build_deployed(recipe, classes) if args.random else load_deployed(recipe, classes, place)
    head = f"_head{args.head_layer}" if args.head_layer else ""
    stem = f"{place.stem}{head}"  # of what is kept of these weights
    kept = [place.with_name(f"{stem}_features_{name}.safetensors") for name in ("train", "val")]
    features = [features_of_split(network, *each, recipe, args.head_layer) for each in zip(splits, kept)]
    measured = measure_representation(*features, args.labels, recipe.data.subset_seed, recipe.run.seed)
    output = Path(args.output or place.with_name(f"{stem}_probe.json"))
    about = {"weights": args.weights or "random", "head_layer": args.head_layer, "data": str(splits[1].root)}
    write_representation(output, measured, about)
    print(f"{representation_table(measured)}\n  results    {output}")
    return 0


if __name__ == "__main__":
    cli.run(main)
