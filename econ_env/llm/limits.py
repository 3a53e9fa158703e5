"""Keeps a process within a server's requests and tokens per minute."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiolimiter import AsyncLimiter


class _PerMinute:
    """A limit per minute that also holds for the first minute.

    A leaky bucket lets its capacity through at once and then its rate, together more than the limit in the first
    minute. So the bucket holds one second's worth (at least 1) and leaks that much less than the limit.
    """

    def __init__(self, limit: float) -> None:
        self.burst = max(1.0, limit / 60.0)
        leak = limit - (self.burst - 1.0)
        self._bucket = AsyncLimiter(self.burst, 60.0 * self.burst / leak)
        self._turn = asyncio.Lock()

    async def acquire(self, amount: float) -> None:
        """Wait until `amount` may pass; callers are served one after another, in order.

        A large amount passes in parts, since the bucket never holds more than `burst`, and its caller goes on after the
        last one. Whoever counts it whole at that moment may see up to one such amount above the limit in a minute.
        """
        async with self._turn:
            while amount > 0:
                part = min(amount, self.burst)
                await self._bucket.acquire(part)
                amount -= part


class Limits(Protocol):
    """What must let a request pass before it is sent."""

    async def acquire(self, tokens: int) -> None:
        """Wait until one request of at most so many tokens (prompt and completion) may be sent."""


class RateLimits:
    """Requests and tokens per minute; belongs to one event loop.

    Args:
        rpm: Requests per minute; `None` for no limit.
        tpm: Tokens per minute; `None` for no limit.
    """

    def __init__(self, rpm: float | None, tpm: float | None) -> None:
        self._requests = None if rpm is None else _PerMinute(rpm)
        self._tokens = None if tpm is None else _PerMinute(tpm)

    async def acquire(self, tokens: int) -> None:
        """Wait until one request of at most so many tokens (prompt and completion) may be sent."""
        if self._requests is not None:
            await self._requests.acquire(1)
        if self._tokens is not None:
            await self._tokens.acquire(tokens)


class _Gated:
    """Limits that are kept elsewhere."""

    def __init__(self, server: str, gate: Gate) -> None:
        self._server, self._gate = server, gate

    async def acquire(self, tokens: int) -> None:
        await self._gate(self._server, tokens)


Gate = Callable[[str, int], Awaitable[None]]
"""Waits until a server may be sent a request of at most so many tokens."""

_shared: dict[tuple[int, str, float | None, float | None], RateLimits] = {}
_gates: dict[int, Gate] = {}


def use_gate(gate: Gate) -> None:
    """Have all limits of this process, from now on made, kept by somebody else for several processes."""
    _gates[os.getpid()] = gate


def shared_limits(server: str, rpm: float | None, tpm: float | None) -> Limits:
    """The limits of this process for a server: whoever calls it draws on the same ones.

    Args:
        server: The server's address.
        rpm: Requests per minute; `None` for no limit.
        tpm: Tokens per minute; `None` for no limit.
    """
    gate = _gates.get(os.getpid())
    if gate is not None and (rpm is not None or tpm is not None):
        return _Gated(server, gate)
    key = (os.getpid(), server, rpm, tpm)
    if key not in _shared:
        _shared[key] = RateLimits(rpm, tpm)
    return _shared[key]
