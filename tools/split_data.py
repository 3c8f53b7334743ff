"""Splits that keep groups together: python tools/split_data.py data/d/Sports10 --group numbered"""

import argparse
from pathlib import Path

from ppcds import cli
from ppcds.errors import UserError
from ppcds.runtime import load_paddle


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Put the images of train_split.csv and val_split.csv (or of class folders) together and "
        "split them anew, so that no group (a game, a scene) is on both sides: <name>_train_split.csv and "
        "<name>_val_split.csv beside them, which -o data.splits=<name> trains on; with --folds K, K such "
        "pairs, <name>0 and so on, in which every group is held out once. With --leaks nothing is split: "
        "pictures of val that train has too, or nearly, are listed, and the exit status is 1 if there are.",
        epilog="example: python tools/split_data.py data/d/Sports10 --group numbered --name games --folds 5",
    )
    add = parser.add_argument
    add("root", type=Path, metavar="FOLDER", help="of a data set, data.root of a recipe")
    add(
        "--group", metavar="PATTERN",
        help="a regular expression for the part of a path that names its group, or numbered: folder and name "
        "without the digits at the end (default: the column group of the tables)",
    )  # fmt: skip
    add(
        "--name",
        help="of the new pair (default: groups); with --leaks of the pair to look at (default: train, val)",
    )
    add("--val", type=float, default=0.2, metavar="SHARE", help="of the images for val, about (default: 0.2)")
    add("--folds", type=int, metavar="K", help="make K pairs")
    add("--seed", type=int, default=0, help="default: %(default)s")
    add("--force", action="store_true", help="replace tables of that name")
    add("--leaks", action="store_true", help="report on a pair as it is")
    args = parser.parse_args()
    if not 0 < args.val <= 0.5:
        raise UserError(f"--val {args.val:g}: give a share above 0 and up to 0.5")
    if args.folds is not None and args.folds < 2:
        raise UserError(f"--folds {args.folds}: two are the fewest")

    load_paddle()  # which the data sets are made of
    from ppcds.datasets.regrouping import report_leaks, split_anew

    if args.leaks:
        return report_leaks(args.root, args.name, args.group)
    folds, name = args.folds or round(1 / args.val), args.name or "groups"
    split_anew(args.root, name, args.group, folds, bool(args.folds), args.seed, args.force)
    return 0


if __name__ == "__main__":
    cli.run(main)
