"""Optimisers and learning rate schedules of a recipe."""

from __future__ import annotations

import paddle
from paddle.optimizer.lr import LRScheduler, MultiStepDecay

from ppcds.config import OptimSection


def build_schedule(optim: OptimSection) -> LRScheduler:
    """The learning rate by epoch; `schedule.step(epoch)` sets it for any epoch."""
    return MultiStepDecay(optim.learning_rate, optim.schedule.milestones, optim.schedule.gamma)


def build_optimizer(
    optim: OptimSection, schedule: LRScheduler, parameters: list[paddle.Tensor]
) -> paddle.optimizer.Optimizer:
    """Momentum with weight decay added to the gradient, as torch.optim.SGD does it."""
    return paddle.optimizer.Momentum(
        learning_rate=schedule,
        momentum=optim.momentum,
        weight_decay=optim.weight_decay,
        parameters=parameters,
    )
