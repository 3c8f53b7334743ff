"""Automatic mixed precision: what networks compute in, and the scale that fp16 needs."""

from __future__ import annotations

import contextlib
from typing import Optional

import numpy as np
import paddle

from ppcds.errors import UserError

DTYPES = {"bf16": "bfloat16", "fp16": "float16"}
LEAST_SCALE = 1.0  # below it fp16 would hold less of the gradients than without a scale


class Precision:
    """amp: None, "bf16" or "fp16": Paddle's level O1, with weights and batch norm in single precision.

    fp16 reaches down to 6e-8 only, so the loss is multiplied by a scale before the backward pass. Where a
    gradient overflows, the weights stay as they are and the scale halves; after 2000 steps without, it
    doubles (Micikevicius et al. 2018, arXiv:1710.03740).
    Raises UserError on a device that cannot: Paddle would go on in single precision.
    """

    def __init__(self, amp: Optional[str]) -> None:
        self.amp = amp
        self.scaler = None
        if amp:
            _require_support(amp)
        if amp == "fp16":
            self.scaler = paddle.amp.GradScaler()
            self._unpack_scale()

    def autocast(self):
        """The context for what networks compute; losses are taken outside of it."""
        if not self.amp:
            return contextlib.nullcontext()
        return paddle.amp.auto_cast(level="O1", dtype=DTYPES[self.amp])

    def scaled(self, loss: paddle.Tensor) -> paddle.Tensor:
        """What to call `backward` of."""
        return self.scaler.scale(loss) if self.scaler else loss

    def move(self, optimizer: paddle.optimizer.Optimizer) -> None:
        """The optimiser's step. Raises UserError where the gradients overflow at any scale."""
        if not self.scaler:
            optimizer.step()
            return
        self.scaler.step(optimizer)
        self.scaler.update()
        if self.scale() < LEAST_SCALE:
            raise UserError(
                "run.amp: gradients overflow fp16 even without a scale: use bf16, or a lower "
                "optim.learning_rate"
            )

    def scale(self) -> float:
        return self.scaler.state_dict()["scale"].item()

    def state(self) -> dict[str, float]:
        """What a run needs to go on exactly; {} without a scale."""
        if not self.scaler:
            return {}
        counts = self.scaler.state_dict()
        return {"scale": self.scale(), **{name: counts[name] for name in ("incr_count", "decr_count")}}

    def restore(self, state: dict[str, float]) -> None:
        """Go on from what `state` gave."""
        if self.scaler and state:
            scale = np.array([state["scale"]], "float32")
            self.scaler.load_state_dict({**self.scaler.state_dict(), **state, "scale": scale})
            self._unpack_scale()

    def _unpack_scale(self) -> None:
        """[1] -> []: at an overflow Paddle 3.3 prints float(scale), which NumPy 2.4 refuses for [1]."""
        self.scaler._scale = self.scaler._scale.reshape([])


def _require_support(amp: str) -> None:
    device = paddle.device.get_device()
    if device.startswith("cpu"):
        raise UserError(f"run.amp: {amp} needs a GPU: on a processor Paddle has no mixed precision; use null")
    supported = paddle.amp.is_bfloat16_supported if amp == "bf16" else paddle.amp.is_float16_supported
    if not supported():
        raise UserError(f"run.amp: the device {device} cannot compute in {amp}; use null")
