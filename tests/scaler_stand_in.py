"""Paddle's gradient scaler on a processor, where Paddle would leave it out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import paddle

from ppcds.engine import precision


def let_scaler_work_on_a_processor(put: Callable[[object, str, object], None] = setattr) -> None:
    """Let the scaler work as on a GPU, and autocast be absent in silence.  put: as setattr."""
    place = {f"is_{kind}_place": lambda kind=kind: kind == "gpu" for kind in ("gpu", "xpu", "custom")}
    tracer = SimpleNamespace(_expected_place=SimpleNamespace(**place))
    put(sys.modules["paddle.amp.grad_scaler"], "_dygraph_tracer", lambda: tracer)
    put(precision, "_require_support", lambda amp: None)
    with paddle.amp.auto_cast(enable=False, dtype="float16"):
        pass  # the scaler asks for the latest dtype
