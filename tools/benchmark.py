"""Measure ppcds against the notebook's way and PyTorch's: python tools/benchmark.py input step"""

import argparse
import json
from importlib import import_module
from pathlib import Path

from ppcds import cli
from ppcds.errors import UserError
from ppcds.files import written_whole

SECTIONS = ("input", "step", "loss", "ranks", "startup")


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Measure ppcds against the notebook's way and PyTorch's, if that is installed, on this "
        "machine: ratios of medians, measured in turns, with the lowest and highest ratio of a round.",
        epilog="example: python tools/benchmark.py input loss --json benchmark.json",
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; default: all")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the ratios, beside sections there are"
    )
    parser.add_argument("--quick", action="store_true", help="a minute or two of smaller work, to see it run")
    parser.add_argument(
        "--growth", type=Path, metavar="DIR", help="draw how time grows with images, batch, workers and ranks"
    )
    args = parser.parse_args()
    for name in args.sections:
        if name not in SECTIONS:
            raise UserError(f"no section {name!r}: choose from {', '.join(SECTIONS)}")
    found = read(args.json) if args.json else {}
    if args.growth:
        import_module("ppcds.benchmark.growth").draw_growth(args.growth, args.quick)

    from ppcds.benchmark.timing import table

    wanted = args.sections or ([] if args.growth else SECTIONS)
    for name in wanted:
        measures = import_module(f"ppcds.benchmark.{name}").measure(args.quick)
        print(table(name, measures), flush=True)
        found[name] = {measure: value.as_json() for measure, value in measures.items()}
        if args.json:
            with written_whole(args.json) as path:
                path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def read(file: Path) -> dict:
    """The sections that are already in the file."""
    try:
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise UserError(f"--json {file}: is there, and is not JSON ({error})") from None


if __name__ == "__main__":
    cli.run(main)
