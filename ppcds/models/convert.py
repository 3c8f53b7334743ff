"""PyTorch weights of the official CDS code and of torchvision's ResNets, brought to this package's names."""

from __future__ import annotations

import re

import numpy as np
from paddle import nn

from ppcds.models.cds_network import CDSNetwork
from ppcds.weights import set_weights


def load_torch_state_dict(
    net: nn.Layer, state_dict: dict[str, np.ndarray], source: str = "PyTorch state dict"
) -> None:
    """Load {PyTorch name: array} into a CDSNetwork or a bare ResNet, completely or not at all.

    Names are those of the official CDS code (auxiliary1.0.op.5.weight: head of stage 1) or of torchvision.
    A CDSNetwork given weights without any auxiliary name gets its backbone loaded and keeps its heads.
    Raises UserError, with nothing loaded, for names that are missing or unknown and for other shapes
    (an `fc` of another number of classes, for instance).
    """
    has_heads = any(name.startswith("auxiliary") for name in state_dict)
    if isinstance(net, CDSNetwork) and not has_heads:
        net = net.backbone
    prefix = "backbone." if isinstance(net, CDSNetwork) else ""
    arrays = {}
    for name, array in state_dict.items():
        if name.endswith("num_batches_tracked"):
            continue  # PyTorch's step counter, which Paddle's BatchNorm does not have
        array = np.asarray(array)
        # Linear weights: PyTorch keeps [outputs, inputs], Paddle [inputs, outputs].
        arrays[_our_name(name, prefix)] = array.T if array.ndim == 2 else array
    set_weights(net, arrays, source)


def _our_name(name: str, prefix: str) -> str:
    name = re.sub(r"\.running_mean$", "._mean", name)
    name = re.sub(r"\.running_var$", "._variance", name)
    head = re.match(r"auxiliary([1-4])\.(.*)", name)
    if head:
        return f"heads.{int(head.group(1)) - 1}.blocks.{head.group(2)}"
    return prefix + name
