"""Which checkpoints lie in a run's folder beside the latest, and going back to one of them."""

from __future__ import annotations

import filecmp
import re
from pathlib import Path

from ppcds.files import errors_naming, link_whole

LATEST = "latest.safetensors"
BEST = "best_model.pdparams"
OF_EPOCH = re.compile(r"checkpoint_epoch(\d+)\.safetensors|best_model_epoch(\d+)\.pdparams")


def keep_epoch(folder: Path, epoch: int, count: int) -> None:
    """Keep the latest checkpoint as that of `epoch`, with the best model until then; `count` epochs in all.

    They are other names of the same files where the disk has such. Those of epochs after this one, of a run
    that went back, are removed too. Twice is as once.  count 0: nothing is kept, and nothing removed.
    """
    if not count:
        return
    kept = folder / f"checkpoint_epoch{epoch}.safetensors"
    if kept.is_file() and filecmp.cmp(kept, folder / LATEST, shallow=False):
        go_back(kept)  # which a kill may have ended before the best model was put back
    link_whole(folder / LATEST, kept)
    if (folder / BEST).is_file():
        link_whole(folder / BEST, folder / f"best_model_epoch{epoch}.pdparams")
    for path in folder.iterdir():
        found = OF_EPOCH.fullmatch(path.name)
        if found and not epoch - count < int(found[1] or found[2]) <= epoch:
            with errors_naming(path):
                path.unlink(missing_ok=True)


def best_until(checkpoint: Path) -> Path | None:
    """The best model as it was when a checkpoint was kept; None beside one that was moved here alone."""
    found = OF_EPOCH.fullmatch(checkpoint.name)
    best = checkpoint.with_name(f"best_model_epoch{found[1]}.pdparams") if found else None
    return best if best and best.is_file() else None


def go_back(checkpoint: Path) -> None:
    """Make a kept checkpoint the latest of its folder, and the best model what it was then."""
    link_whole(checkpoint, checkpoint.with_name(LATEST))
    best = best_until(checkpoint)
    if best:
        link_whole(best, checkpoint.with_name(BEST))
