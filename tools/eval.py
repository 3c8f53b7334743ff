"""Evaluate weights: python tools/eval.py --weights output/sports10/best_model.pdparams"""

import argparse
from pathlib import Path

from ppcds import cli
from ppcds.runtime import choose_device


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Accuracy, precision, recall and F1 of each class, and the confusion matrix of a split.",
        epilog="example: python tools/eval.py --weights output/sports10/best_model.pdparams --split val",
    )
    parser.add_argument("--weights", required=True, metavar="FILE", help="best_model.pdparams of a run")
    cli.add_recipe_options(parser)
    parser.add_argument("--split", default="val", help="which <split>_split.csv of data.root (default: val)")
    parser.add_argument(
        "--group", metavar="PATTERN",
        help="accuracy of groups too, by file names as in split_data.py (default: the column group, if any)",
    )  # fmt: skip
    parser.add_argument(
        "--output", metavar="DIR", help="folder of the results (default: eval_<split> beside the weights)"
    )
    args = parser.parse_args()
    recipe = cli.recipe_of_weights(args.recipe, args.weights, args.override)
    folder = Path(args.output or Path(args.weights).parent / f"eval_{args.split}")

    choose_device(args.device)  # before anything else loads Paddle
    from tqdm import tqdm

    from ppcds.datasets.bad_images import readable
    from ppcds.datasets.build import build_eval_split
    from ppcds.datasets.groups import groups_of_split
    from ppcds.datasets.loader import batches_of, load_batches
    from ppcds.engine.deployed import load_classifier
    from ppcds.engine.evaluate import predict_logits
    from ppcds.engine.metrics import group_accuracy, measure_classification
    from ppcds.engine.unreadable import Unreadable
    from ppcds.report import write_evaluation

    split = build_eval_split(recipe, args.split)
    network = load_classifier(recipe, len(split.classes), args.weights)
    batches = batches_of(len(split), recipe.data.batch_size, drop_last=False)
    loader = load_batches(split, batches, recipe.data.num_workers, recipe.run.seed)
    bar = tqdm(loader, args.split, total=len(batches), unit="batch", leave=False, disable=None)
    groups = groups_of_split(split, args.group)
    logits, labels = predict_logits(network, bar)
    metrics = measure_classification(*readable(logits, labels), split.classes)
    by_group = None if groups is None else group_accuracy(logits, labels, groups)
    unreadable = Unreadable(split)
    unreadable.tell(print)
    unreadable.count(print)
    print(metrics)
    if by_group is not None:
        print(by_group.head(10).to_string(float_format="{:.4f}".format))
        print(f"{len(by_group)} groups, the mean of their accuracies {by_group['accuracy'].mean():.4f}")
    about = {"weights": args.weights, "data": str(split.root), "split": args.split}
    write_evaluation(folder, metrics, about, by_group)
    more = "" if groups is None else ", groups.csv"
    print(f"  results    {folder}/metrics.json, confusion.csv, confusion.png{more}")
    return 0


if __name__ == "__main__":
    cli.run(main)
