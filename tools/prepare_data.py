"""Unpack and check a data set: python tools/prepare_data.py Sports10.zip --root data/d"""

import argparse
import re
import sys
from pathlib import Path

from ppcds import cli
from ppcds.errors import UserError
from ppcds.runtime import load_paddle


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Unpack a data set in the layout of Sports10 (or CIFAR-10's or STL-10's official "
        "archive), decode every image and write prepare_summary.json. The same command continues an "
        "interrupted run. The exit status is 1 if images are broken or missing, or a class is unknown.",
        epilog="example: python tools/prepare_data.py Sports10.zip --root data/d --pack 72x128",
    )
    add = parser.add_argument
    add(
        "source", type=Path, metavar="ARCHIVE_OR_FOLDER",
        help=".zip, .tar or .tar.gz; or a folder, which is copied, or only checked if it is in place",
    )  # fmt: skip
    add("--root", type=Path, default=Path("data/d"), help="where it goes (default: %(default)s)")
    add("--name", help="its folder under the root (default: its own name, or Sports10 if it has none)")
    add("--pack", metavar="HEIGHTxWIDTH", help="then resize the images once, into a file that training reads")
    how = "of --pack, as data.%(dest)s of the recipe (default: %(default)s)"
    add("--interpolation", choices=["bilinear", "area"], default="bilinear", help=how)
    add("--decode", choices=["exact", "fast"], default="exact", help=how)
    args = parser.parse_args()
    size = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", args.pack or "1x1")
    if not size:
        raise UserError(f"--pack {args.pack}: write HEIGHTxWIDTH in pixels, for instance --pack 72x128")
    if not args.source.exists():
        raise UserError(f"there is no archive or folder {args.source}")

    load_paddle()  # which the data sets are made of
    from ppcds.datasets.cache import pack_folder
    from ppcds.datasets.prepare import place
    from ppcds.datasets.verify import SUMMARY, count_faults, verify
    from ppcds.datasets.verify_report import report, verdict

    try:
        folder = place(args.source, args.root, args.name)
        summary = verify(folder)
        print(report(summary))
        faults = count_faults(summary)
        said = verdict(summary) + (", nothing is packed" if args.pack and faults else "")
        print(f"{folder}: {summary['images']} images, {said} ({folder / SUMMARY})")
        if args.pack and not faults:
            pack_folder(folder, tuple(map(int, size.groups())), args.interpolation, args.decode)
    except KeyboardInterrupt:
        print("Interrupted. The same command goes on from here.", file=sys.stderr)
        return 130
    return 1 if faults else 0


if __name__ == "__main__":
    cli.run(main)
