"""Ctrl-C and SIGTERM as a request that the training loop answers between two steps."""

from __future__ import annotations

import signal


class Stopped(Exception):
    """The run was asked to stop by this signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class StopRequest:
    """Within the block, the first SIGINT or SIGTERM is kept for `check`; a second one acts at once."""

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
        signal.signal(signum, self.before[signum])

    def check(self) -> None:
        """Raise Stopped if a signal has come."""
        if self.signum is not None:
            raise Stopped(self.signum)
