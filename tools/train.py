"""Train a recipe: python tools/train.py -c sports10 -o optim.epochs=20"""

import argparse
from shlex import quote

from ppcds import cli
from ppcds.config import RECIPES, load_recipe
from ppcds.runtime import choose_device, prepare_processor

DEFAULT = "sports10"


def main() -> int:
    shipped = ", ".join(sorted(file.stem for file in RECIPES.glob("*.yaml")))
    parser = argparse.ArgumentParser(
        description=f"Train a recipe: {shipped}, or a file of your own.",
        epilog="example: python tools/train.py -c sports10 -o data.batch_size=64 -o optim.epochs=20",
    )
    cli.add_recipe_options(parser)
    parser.add_argument(
        "--resume", nargs="?", const="", metavar="RUN",
        help="go on with the interrupted run in run.output_dir, or in the folder RUN with its own recipe, or "
        "from its checkpoint RUN (see run.keep_checkpoints)",
    )  # fmt: skip
    parser.add_argument(
        "--allow-change", nargs="+", default=[], metavar="KEY",
        help="with --resume: keys of the recipe that are not what they were, e.g. optim.learning_rate",
    )  # fmt: skip
    args = parser.parse_args()
    if args.allow_change and args.resume is None:
        parser.error("argument --allow-change: it needs --resume")
    checkpoint = None
    if args.resume:  # its own recipe, unless another is named
        folder, checkpoint = cli.run_to_resume(args.resume)
        recipe = load_recipe(args.recipe or cli.recipe_of_run(folder), args.override)
        recipe.run.output_dir = folder
    else:
        recipe = load_recipe(args.recipe or DEFAULT, args.override)

    prepare_processor(recipe.run.threads)
    choose_device(args.device)  # before anything else loads Paddle
    from ppcds.distributed import join_ranks, launcher, rank

    join_ranks(args.device)
    from ppcds.engine.conclusion import conclude
    from ppcds.engine.stop import Stopped
    from ppcds.engine.trainer import Trainer

    trainer = Trainer(recipe, args.resume is not None, checkpoint, args.allow_change)
    try:
        trainer.train()
    except Stopped as stopped:
        if rank() == 0:
            device = f" --device {args.device}" if args.device else ""
            print(f"Go on with: {launcher()} tools/train.py --resume {quote(recipe.run.output_dir)}{device}")
        return 128 + stopped.signum
    if rank() == 0:
        print(conclude(recipe, trainer.state.history, trainer.method.representation))
    return 0


if __name__ == "__main__":
    cli.run(main)
