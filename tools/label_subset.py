"""Write a part of the labels as CSV: python tools/label_subset.py -c sports10 --output train_10.csv"""

import argparse
from pathlib import Path

from ppcds import cli
from ppcds.config import load_recipe
from ppcds.errors import UserError
from ppcds.runtime import load_paddle


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Write the training split of a recipe as CSV: the images of data.train_images without "
        "those of data.hold_back, the class left blank where data.label_fraction takes the label away. It "
        "can be the train_split.csv of a folder with the same images.",
        epilog="example: python tools/label_subset.py -c sports10 -o data.label_fraction=0.1 "
        "--output train_10.csv",
    )
    parser.add_argument("-c", "--recipe", required=True, metavar="NAME_OR_PATH", help="recipe")
    parser.add_argument(
        "-o", "--override", action="append", default=[], metavar="KEY=VALUE",
        help="change one key of the recipe, e.g. -o data.label_fraction=0.1 (repeat for more)",
    )  # fmt: skip
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="the CSV to write")
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")
    args = parser.parse_args()
    recipe = load_recipe(args.recipe, args.override)
    if args.output.exists() and not args.force:
        raise UserError(f"{args.output} is there already: name another file, or replace it with --force")

    load_paddle()  # which the data sets are made of
    import pandas as pd

    from ppcds.datasets import FileSplit
    from ppcds.datasets.build import build_train_split
    from ppcds.files import written_whole

    split = build_train_split(recipe, views_used=0)
    if not isinstance(split, FileSplit):
        raise UserError(
            f"data.layout {recipe.data.layout} has no image files: use data.label_fraction in its recipe"
        )
    names = [split.classes[label] if label >= 0 else "" for label in split.labels]
    table = pd.DataFrame({"filename": split.filenames, "class": names})
    with written_whole(args.output) as temporary:
        table.to_csv(temporary, index=False)
    labelled = int((split.labels >= 0).sum())
    print(f"{args.output}: {len(split)} images, {labelled} with a label, {len(split) - labelled} without")
    return 0


if __name__ == "__main__":
    cli.run(main)
