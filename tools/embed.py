"""Embed images: python tools/embed.py photos/ --weights output/sports10/best_model.pdparams"""

import argparse
import sys
from pathlib import Path

from ppcds import cli
from ppcds.errors import UserError
from ppcds.runtime import choose_device


def main() -> int:
    parser = argparse.ArgumentParser(
        description="What a trained network makes of images, as embeddings.npy (a row an image), "
        "embeddings.csv (the rows' files, classes and nearest neighbours by cosine distance) and vdl/, for "
        "`visualdl --logdir`. Status 1 if an image could not be read.",
        epilog="example: python tools/embed.py --split val --weights output/demo/best_model.pdparams",
    )
    parser.add_argument("images", nargs="*", metavar="IMAGE_OR_FOLDER", help="folders: with all below them")
    parser.add_argument("--split", help="instead: <split>_split.csv of data.root, train or val for instance")
    parser.add_argument("--weights", required=True, metavar="FILE", help="best_model.pdparams of a run")
    cli.add_recipe_options(parser)
    layer = parser.add_mutually_exclusive_group()
    stage = {"type": int, "choices": range(1, 5), "metavar": "STAGE"}
    said = "1 to 4, its map averaged (default: features below the classifier)"
    layer.add_argument("--stage", help=said, **stage)
    head = {"type": int, "default": 0, "choices": range(10), "metavar": "K"}
    layer.add_argument("--head-layer", help="after K layers of an encoder's projection head", **head)
    parser.add_argument("--neighbours", type=int, default=5, metavar="K", help="in the CSV (default: 5)")
    parser.add_argument(
        "--output", metavar="DIR", help="default: embed_<split>, or embed, beside the weights"
    )
    args = parser.parse_args()
    if bool(args.images) == bool(args.split):
        parser.error("name images or folders, or a --split")
    if args.neighbours < 0:
        parser.error("argument --neighbours: 0 is the least")
    recipe = cli.recipe_of_weights(args.recipe, args.weights, args.override)
    name = f"embed_{args.split}" if args.split else "embed"
    folder = Path(args.output or Path(args.weights).parent / name)

    choose_device(args.device)  # before anything else loads Paddle
    from ppcds.datasets.build import build_eval_split, recipe_classes
    from ppcds.engine import embed, predict
    from ppcds.engine.deployed import load_deployed
    from ppcds.report.embedding_files import NAMES, write_embedding_files
    from ppcds.whole_folder import folder_written_whole

    skipped = []

    def skip(error: UserError) -> None:
        skipped.append(error)
        print(f"skipped: {error}", file=sys.stderr)

    if args.split:
        images = build_eval_split(recipe, args.split)
        classes, batches = images.classes, embed.shown_split(images, recipe, skip)
    else:
        images, classes = predict.find_images(args.images), recipe_classes(recipe)
        batches = embed.shown_files(images, recipe, classes, skip)
    network = load_deployed(recipe, len(classes), args.weights)
    function = embed.embedding_function(network, args.stage, args.head_layer)
    tag = f"stage{args.stage}" if args.stage else f"head{args.head_layer}" if args.head_layer else "features"
    with folder_written_whole(folder, NAMES) as inside:
        (rows, width), drawn = write_embedding_files(
            inside, function, batches, len(images), args.neighbours, tag
        )
    print(f"{rows} images, {width} numbers each: {folder}")
    if drawn < rows:
        print(f"vdl has {drawn} of them, evenly spaced")
    if skipped:
        print(f"{len(skipped)} of {len(images)} files could not be read", file=sys.stderr)
    return int(bool(skipped))


if __name__ == "__main__":
    cli.run(main)
