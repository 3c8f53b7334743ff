"""Write a report of runs as one HTML file: python tools/report.py output/sports10"""

import argparse
import os
from pathlib import Path

from ppcds import cli
from ppcds.runtime import choose_device, prepare_processor


def main() -> int:
    parser = argparse.ArgumentParser(
        description="One HTML file that needs nothing else: recipe, curves, classes, calibration, errors and "
        "what they are like, embeddings, Grad-CAM; of several runs their comparison too.",
        epilog="example: python tools/report.py output/cds output/supervised --output output/both.html",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run")
    parser.add_argument("--split", default="val", help="which <split>_split.csv of data.root (default: val)")
    parser.add_argument(
        "--weights", choices=["best", "last"], default="best",
        help="best_model.pdparams, or last_model.pdparams, nothing chosen on val (default: best)",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--override", action="append", default=[], metavar="KEY=VALUE",
        help="change one key of every recipe, e.g. -o data.root=/mnt/Sports10 (repeat for more)",
    )  # fmt: skip
    parser.add_argument("--device", help="cpu, gpu or gpu:N (default: a GPU if Paddle sees one)")
    parser.add_argument("--output", metavar="FILE", help="default: report.html in the folder of the run(s)")
    args = parser.parse_args()
    cli.require_packages("report", "altair", "vl_convert", "jinja2")
    from ppcds.report.run_record import read_runs

    runs = read_runs(args.runs, args.override, args.weights)
    above = os.path.commonpath([os.path.abspath(run) for run in args.runs])
    output = Path(args.output or os.path.relpath(os.path.join(above, "report.html")))

    prepare_processor(runs[0].recipe.run.threads)
    choose_device(args.device)  # before anything else loads Paddle
    from ppcds.report.page.render import LARGEST, write_page
    from ppcds.report.page.report import report

    size = write_page(output, report(runs, args.split))
    large = ": many runs at once make a large file" if size > LARGEST else ""
    print(f"  report     {output} ({size / 1e6:.1f} MB{large})")
    return 0


if __name__ == "__main__":
    cli.run(main)
