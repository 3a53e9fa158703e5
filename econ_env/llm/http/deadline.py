"""A deadline that counts only the time in which work runs, not the time it waits in a queue."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """An async context manager that raises `TimeoutError` when its seconds are used up.

    The clock is stopped until `run` and after `pause`, so a call in a long queue does not time out before it is sent.

    Args:
        seconds: Total time the work may run.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._timeout = asyncio.timeout(None)

    @property
    def left(self) -> float:
        """Seconds that the work may still run."""
        when = self._timeout.when()
        return self._left if when is None else when - asyncio.get_running_loop().time()

    def run(self) -> None:
        """Start the clock; no effect if it runs."""
        if self._timeout.when() is None:
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._left)

    def pause(self) -> None:
        """Stop the clock; no effect if it is stopped."""
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
