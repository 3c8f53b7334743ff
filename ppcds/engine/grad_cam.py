"""Where in an image the evidence for a class is: Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391)."""

from __future__ import annotations

import numpy as np
import paddle
from paddle import nn


def grad_cam(network: nn.Layer, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Maps [N, h, w] float32 of the last stage, not below 0, for one class an image.

    network: a classifier with `last_stage` and `classify`.  images: [N, 3, H, W] as the network takes them.
    classes: ids [N].  With A^k the K maps of the last stage and y^c the logit of the class (eq. 1 and 2):
        alpha_k = 1/Z sum_ij dy^c / dA^k_ij         L = ReLU(sum_k alpha_k A^k)
    In evaluation mode; the network's mode is put back, and no gradient is left in its weights.
    """
    was_training = network.training
    network.eval()
    try:
        with paddle.no_grad():
            maps = network.last_stage(paddle.to_tensor(images))
        maps = maps.detach()
        maps.stop_gradient = False  # only what is behind the maps has to be gone back through
        logits = network.classify(maps)
        chosen = (logits * nn.functional.one_hot(paddle.to_tensor(classes), logits.shape[1])).sum()
        (gradient,) = paddle.grad(chosen, maps)
        weights = gradient.mean(axis=[2, 3], keepdim=True)
        return nn.functional.relu((weights * maps).sum(axis=1)).numpy().astype(np.float32)
    finally:
        if was_training:
            network.train()
