"""Learning rates of a recipe as functions of the position in the run: nothing to save, nothing to resume."""

from __future__ import annotations

import math

from ppcds.config import OptimSection


def learning_rate(optim: OptimSection, epoch: float) -> float:
    """The rate of the step that begins at `epoch`, counted from 0: epoch + step / steps per epoch."""
    return SCHEDULES[optim.schedule.name](optim, epoch)


def multistep(optim: OptimSection, epoch: float) -> float:
    """Multiplied by gamma at each milestone, for whole epochs."""
    passed = sum(milestone <= epoch for milestone in optim.schedule.milestones)
    return optim.learning_rate * optim.schedule.gamma**passed


def cosine(optim: OptimSection, epoch: float) -> float:
    """Linear from 0 over the warm-up, then half a cosine from the full rate to 0 at the run's end.

    SimCLR's learning_rate_schedule (google-research/simclr, model_util.py), whose first step of a warm-up
    has rate 0 too. It rounds the warm-up down to whole steps and adds one to those of the run; here both
    are as the recipe has them, so the last step has a rate just above 0.
    """
    warmup = optim.schedule.warmup_epochs
    if epoch < warmup:
        return optim.learning_rate * epoch / warmup
    if epoch >= optim.epochs:
        return 0.0
    progress = (epoch - warmup) / (optim.epochs - warmup)
    return optim.learning_rate * (1 + math.cos(math.pi * progress)) / 2


def constant(optim: OptimSection, epoch: float) -> float:
    return optim.learning_rate


SCHEDULES = {"multistep": multistep, "cosine": cosine, "constant": constant}
