"""The processes that train together, and how one joins them.

`python -m paddle.distributed.launch` starts the processes and tells each its number by the environment;
`join_ranks` makes a group of them. Until then, and without the launcher, there is one rank.
"""

from __future__ import annotations

import os

import paddle

from ppcds.errors import UserError
from ppcds.heartbeat import Heartbeat

_heartbeat: Heartbeat | None = None


def join_ranks(device: str | None) -> None:
    """Make one group of the processes that the launcher has started; nothing without a launcher.

    device: --device, which has to leave the choice among several GPUs to the launcher.
    """
    launched = int(os.environ.get("PADDLE_TRAINERS_NUM", 1))
    if launched == 1:
        return
    if device and ":" in device:
        raise UserError(
            f"--device {device}: {launched} processes cannot share it: leave it out, and name the devices to "
            "the launcher (--gpus 0,1)"
        )
    if not paddle.device.get_device().startswith("gpu"):
        os.environ["PADDLE_DISTRI_BACKEND"] = "gloo"  # the one for processors
    paddle.distributed.init_parallel_env()
    global _heartbeat
    _heartbeat = Heartbeat(rank(), num_ranks())


def heartbeat() -> Heartbeat:
    """What tells which of the ranks have gone, of a group of several."""
    return _heartbeat


def num_ranks() -> int:
    """How many processes train together."""
    return paddle.distributed.get_world_size() if paddle.distributed.is_initialized() else 1


def rank() -> int:
    """The number of this process among them."""
    return paddle.distributed.get_rank() if paddle.distributed.is_initialized() else 0


def launcher() -> str:
    """What stands before the script in the command that began this run."""
    return "python" if num_ranks() == 1 else "python -m paddle.distributed.launch ..."
