"""Ctrl-C and SIGTERM as a request that the training loop answers between two steps."""

from __future__ import annotations

import signal

from ppcds.distributed import largest, num_ranks


class Stopped(Exception):
    """The run was asked to stop by this signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class StopRequest:
    """Within the block, the first SIGINT or SIGTERM is kept for `check`; a second one acts at once.

    With several ranks a second one is ignored: the launcher repeats what its process group has got already,
    and kills a rank that goes on for too long.
    """

    def __enter__(self) -> StopRequest:
        self.signum = None
        self.before = {
            number: signal.signal(number, self._keep) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _keep(self, signum: int, frame) -> None:
        self.signum = signum
        if num_ranks() == 1:
            signal.signal(signum, self.before[signum])

    def check(self) -> None:
        """Raise Stopped if a signal has come, to any rank: every rank has to call this as often."""
        signum = largest(self.signum or 0)
        if signum:
            raise Stopped(signum)
