"""Holds a run within its budget, and within the requests and tokens per minute of each server."""

from __future__ import annotations

import asyncio
import os
from typing import Protocol

from aiolimiter import AsyncLimiter

from econ_env.config import LLMConfig
from econ_env.llm.budget import Budget, BudgetHolder


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


class RunLimits(BudgetHolder, Protocol):
    """What holds a run within its budget and within the rates of its servers. A run's meter has one."""

    async def acquire(self, server: str, tokens: int) -> None:
        """Wait until a server may be sent one request of at most so many tokens (prompt and completion)."""


class ProcessLimits(Budget):
    """The limits of a run in one process.

    Args:
        config: Budget, prices, and requests and tokens per minute.
    """

    def __init__(self, config: LLMConfig) -> None:
        super().__init__(config)
        self._rpm, self._tpm = config.rpm, config.tpm

    async def acquire(self, server: str, tokens: int) -> None:
        """Wait until a server may be sent one request of at most so many tokens (prompt and completion)."""
        if self._rpm is not None or self._tpm is not None:
            await shared_rates(server, self._rpm, self._tpm).acquire(tokens)


_shared: dict[tuple[int, str, float | None, float | None], RateLimits] = {}


def shared_rates(server: str, rpm: float | None, tpm: float | None) -> RateLimits:
    """The rates of this process for a server: all callers draw on the same ones.

    Args:
        server: The server's address.
        rpm: Requests per minute; `None` for no limit.
        tpm: Tokens per minute; `None` for no limit.
    """
    key = (os.getpid(), server, rpm, tpm)
    if key not in _shared:
        _shared[key] = RateLimits(rpm, tpm)
    return _shared[key]
