"""Processes that train, forked by one that has imported Paddle: seconds cheaper than to start each anew.

For scripts beside this file, which tests start: a process that has computed with Paddle must not fork.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

from ppcds.runtime import load_paddle, prepare_processor

prepare_processor(1)
paddle = load_paddle()

from ppcds.distributed import join_ranks  # noqa: E402


def fork(train: Callable[[int], None], ranks: int = 1) -> list[int]:
    """The numbers of the processes that call train(rank); what they say goes to said<rank> in this folder.

    They end with status 0, or with 1 and the error as their last line.
    """
    ports, numbers = [_free_port() for _ in range(ranks + 1)], []
    for rank in range(ranks):
        number = os.fork()
        if number:
            numbers.append(number)
            continue
        status = 1
        try:
            with open(f"said{rank}", "a") as said:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
            if ranks > 1:
                _join(rank, ports)
            train(rank)
            status = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", flush=True)
        finally:
            sys.stdout.flush()
            os._exit(status)
    return numbers


def _join(rank: int, ports: list[int]) -> None:
    ends = [f"127.0.0.1:{port}" for port in ports[:-1]]
    os.environ.update(
        PADDLE_TRAINERS_NUM=str(len(ends)),
        PADDLE_TRAINER_ID=str(rank),
        PADDLE_TRAINER_ENDPOINTS=",".join(ends),
        PADDLE_CURRENT_ENDPOINT=ends[rank],
        PADDLE_MASTER=f"127.0.0.1:{ports[-1]}",
    )
    paddle.device.set_device("cpu")
    join_ranks(None)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait(numbers: list[int], until: float | None = None, together: bool = True) -> list[int] | None:
    """The statuses of the processes; None if none has ended by then.

    together: when one has failed the others are killed, as paddle.distributed.launch does.
    """
    statuses = {}
    while len(statuses) < len(numbers):
        for number in set(numbers) - set(statuses):
            found, status = os.waitpid(number, os.WNOHANG)
            if found:
                statuses[number] = status
                if status and together:
                    kill(set(numbers) - set(statuses))
        if until and not statuses and time.monotonic() > until:
            return None
        time.sleep(0.002)
    return [statuses[number] for number in numbers]


def kill(numbers) -> None:
    for number in numbers:
        os.kill(number, signal.SIGKILL)
