"""Optimisers of a recipe."""

from __future__ import annotations

from collections.abc import Iterable

import paddle

from ppcds.config import OptimSection
from ppcds.engine.lars import Lars


def build_optimizer(
    optim: OptimSection, parameters: Iterable[paddle.Tensor], classifier: Iterable[paddle.Tensor] = ()
) -> paddle.optimizer.Optimizer:
    """The optimiser of those parameters that are trained; `set_lr` gives it the rate of each step.

    classifier: those of them that belong to the deployed classifier, which LARS does not adapt.

    Momentum and Adam add the weight decay to the gradient, as torch.optim.SGD and torch.optim.Adam do it.
    Adam has betas 0.9 and 0.999 and epsilon 1e-8, as in the paper and in PyTorch (Keras: 1e-7).
    """
    trained = [parameter for parameter in parameters if not parameter.stop_gradient]
    rate, decay = optim.learning_rate, optim.weight_decay
    if optim.name == "lars":
        return Lars(rate, optim.momentum, decay, trained, classifier)
    if optim.name == "adam":
        return paddle.optimizer.Adam(rate, 0.9, 0.999, 1e-8, parameters=trained, weight_decay=decay or None)
    return paddle.optimizer.Momentum(rate, optim.momentum, parameters=trained, weight_decay=decay)
