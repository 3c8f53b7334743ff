"""The summary of a data set as text."""

from __future__ import annotations

from ppcds.datasets.verify import FAULTS, REMARKS, SUMMARY

SHOWN = 10  # of the files that a list of the printed summary names


def report(summary: dict) -> str:
    """A table of images by class, the sizes, and what is wrong or worth a look."""
    splits = summary["splits"]
    classes = sorted({name for split in splits.values() for name in split["classes"]})
    widest = max(len(name) for name in [*classes, "unlabelled"])
    lines = [" " * widest + "".join(f"{split:>9}" for split in splits)]
    for name in classes:
        counts = "".join(f"{split['classes'].get(name, 0):>9}" for split in splits.values())
        lines.append(f"{name or 'unlabelled':<{widest}}{counts}")
    lines.append(f"{'all':<{widest}}" + "".join(f"{split['images']:>9}" for split in splits.values()))
    sizes = summary["sizes"]
    for axis in ("width", "height"):
        if axis in sizes:
            lines.append("{0:<8}{min} to {max} pixels, median {median:g}".format(axis, **sizes[axis]))
    common = ", ".join(f"{size} ({count})" for size, count in sizes["most_common"].items())
    lines.append(f"most common sizes: {common or 'none'}")
    for title in (*FAULTS, *REMARKS):
        lines.append(f"{title.replace('_', ' ')}: {len(summary[title])}")
        reasons = summary[title].values() if isinstance(summary[title], dict) else summary[title]
        lines += [f"  {reason}" for reason in list(reasons)[:SHOWN]]
        if len(summary[title]) > SHOWN:
            lines.append(f"  ... and {len(summary[title]) - SHOWN} more, all in {SUMMARY}")
    return "\n".join(lines)


def verdict(summary: dict) -> str:
    """The number of faults in a few words."""
    broken = len(summary["broken"]) + len(summary["missing"])
    said = f"{broken or 'none'} broken or missing"
    for kind in ("unknown_classes", "two_classes"):
        if summary[kind]:
            said += f", {kind.replace('_', ' ')}: {len(summary[kind])}"
    return said
