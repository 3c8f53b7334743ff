"""SimCLR on partly labelled data, as the Keras example: python tools/simclr_keras.py"""

import argparse
from pathlib import Path

from ppcds import cli
from ppcds.engine.plan import Step, common_threads
from ppcds.runtime import choose_device, prepare_processor

STEPS = (
    Step("baseline", "simclr_keras_baseline"),
    Step("pretrain", "simclr_keras_pretrain"),
    Step("finetune", "simclr_keras_finetune", starts_from="model.pretrained"),
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Train the supervised baseline, pretrain with a probe beside it, fine-tune from the last "
        "weights of that, and write simclr_keras.md, .csv and .png (validation accuracy and loss) into "
        "--output. The same command goes on where it was stopped.",
        epilog="example: python tools/simclr_keras.py -o data.root=data/d/STL10 -o model.width=32",
    )
    cli.add_chain_options(parser, STEPS, output=Path("output/simclr_keras"))
    args = parser.parse_args()
    recipes = cli.chain_of(args, STEPS)

    prepare_processor(common_threads(recipes))
    choose_device(args.device)  # before anything else loads Paddle
    from ppcds.engine.series import run_chain
    from ppcds.engine.stop import Stopped
    from ppcds.report.run_result import read_result
    from ppcds.report.simclr_keras import write_simclr_keras

    try:
        run_chain(STEPS, recipes)
    except Stopped as stopped:
        return 128 + stopped.signum
    print(write_simclr_keras(args.output, {s.name: read_result(r) for s, r in zip(STEPS, recipes)}))
    print(f"  results    {args.output}/simclr_keras.md, simclr_keras.csv, simclr_keras.png")
    return 0


if __name__ == "__main__":
    cli.run(main)
