"""A deadline for a piece of work that only counts the time in which the work is under way, not waits in a queue."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """Ends what runs inside it by a `TimeoutError` when its seconds are used up; use it as an async context manager.

    The clock stands still until `run`, and again from `pause` on, so that a call in a long queue does not time out
    before it was ever sent.

    Args:
        seconds: How long the work may run in all.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._timeout = asyncio.timeout(None)

    def run(self) -> None:
        """Let the clock run; nothing changes if it does."""
        if self._timeout.when() is None:
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._left)

    def pause(self) -> None:
        """Let the clock stand still; nothing changes if it does."""
        when = self._timeout.when()
        if when is not None and not self._timeout.expired():
            self._left = when - asyncio.get_running_loop().time()
            self._timeout.reschedule(None)

    async def __aenter__(self) -> Deadline:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._timeout.__aexit__(kind, error, trace)
