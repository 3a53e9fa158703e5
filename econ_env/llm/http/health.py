"""Decides whether a server of a pool takes calls, from its failures in a row and from probes."""

from __future__ import annotations

import asyncio
from typing import Literal

FAILURES_IN_A_ROW = 3
"""Failed attempts in a row after which a server is left out."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds until a left-out server is probed: the first wait, doubled after each failed probe, and its maximum."""


class Health:
    """Whether a server takes calls.

    After `FAILURES_IN_A_ROW` failures it is `out`. When a probe succeeds it is on `trial`: it gets one call at a time
    until one succeeds. A failure on trial puts it out again, for twice as long.
    """

    def __init__(self) -> None:
        self.state: Literal["up", "out", "trial"] = "up"
        self.due = 0.0
        self._in_a_row = 0
        self._pause = FIRST_PAUSE

    def succeed(self) -> bool:
        """Record a success; returns whether it brought the server back."""
        came_back = self.state != "up"
        self.state, self._in_a_row, self._pause = "up", 0, FIRST_PAUSE
        return came_back

    def fail(self) -> bool:
        """Record a failure; returns whether it put the server `out`."""
        self._in_a_row += 1
        if self.state == "out" or (self.state == "up" and self._in_a_row < FAILURES_IN_A_ROW):
            return False
        self.state = "out"
        self.wait()
        return True

    def rest(self, seconds: float) -> None:
        """Put the server `out` for as long as it asked."""
        self.state = "out"
        self.due = asyncio.get_running_loop().time() + seconds

    def wait(self) -> None:
        """Set the time of the next probe; each wait is twice as long as the last."""
        self.due = asyncio.get_running_loop().time() + self._pause
        self._pause = min(2.0 * self._pause, LONGEST_PAUSE)
