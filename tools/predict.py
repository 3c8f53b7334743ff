"""Classify images: python tools/predict.py photo.jpg folder --weights output/sports10/best_model.pdparams"""

import argparse
import functools
import sys
from pathlib import Path

from ppcds import cli
from ppcds.errors import UserError
from ppcds.runtime import choose_device


def main() -> int:
    parser = argparse.ArgumentParser(
        description="The most probable classes of images. Status 1 if an image could not be read.",
        epilog="example: python tools/predict.py shots/ --weights output/demo/best_model.pdparams --top 1",
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE_OR_FOLDER", help="folders: with all below them")
    parser.add_argument("--weights", required=True, metavar="FILE", help="best_model.pdparams of a run")
    cli.add_recipe_options(parser)
    parser.add_argument("--top", type=int, default=5, metavar="K", help="classes an image (default: 5)")
    parser.add_argument("--format", choices=["table", "csv", "json"], help="default: by --output, else table")
    parser.add_argument("--output", metavar="FILE", help="write there instead of to the screen")
    args = parser.parse_args()
    if args.top < 1:
        parser.error("argument --top: 1 is the least")
    recipe = cli.recipe_of_weights(args.recipe, args.weights, args.override)
    by_suffix = {".csv": "csv", ".json": "json"}.get(Path(args.output or "").suffix, "table")

    choose_device(args.device)  # before anything else loads Paddle
    from ppcds.datasets.build import recipe_classes
    from ppcds.engine import predict
    from ppcds.engine.deployed import load_classifier

    files, skipped = predict.find_images(args.images), []
    classes = recipe_classes(recipe)
    network = load_classifier(recipe, len(classes), args.weights)
    table = functools.partial(predict.write_table, file_width=min(60, max(map(len, files))))
    write = {"table": table, "csv": predict.write_csv, "json": predict.write_json}[args.format or by_suffix]

    def skip(error: UserError) -> None:
        skipped.append(error)
        print(f"skipped: {error}", file=sys.stderr)

    predictions = predict.predict_files(network, files, recipe, classes, args.top, skip)
    with predict.open_output(args.output) as stream:
        write(predictions, stream)
    if args.output:
        print(f"{len(files) - len(skipped)} images classified: {args.output}")
    if skipped:
        print(f"{len(skipped)} of {len(files)} files could not be read", file=sys.stderr)
    return int(bool(skipped))


if __name__ == "__main__":
    cli.run(main)
