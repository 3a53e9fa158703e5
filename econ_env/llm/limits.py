"""Keeps a run within its budget and within each server's limits of requests and tokens per minute."""

from __future__ import annotations

import asyncio
import os
from typing import Protocol

from aiolimiter import AsyncLimiter

from econ_env.config import LLMConfig
from econ_env.llm.budget import Budget, BudgetHolder


class _PerMinute:
    """A limit per minute that also holds for the first minute.

    A leaky bucket first lets its whole capacity through and then its rate: in the first minute more than the limit.
    So the bucket's capacity is the limit of one second (at least 1), and its rate is lower than the limit to match.
    """

    def __init__(self, limit: float) -> None:
        self.burst = max(1.0, limit / 60.0)
        leak = limit - (self.burst - 1.0)
        self._bucket = AsyncLimiter(self.burst, 60.0 * self.burst / leak)
        self._turn = asyncio.Lock()

    async def acquire(self, amount: float) -> None:
        """Wait until `amount` may pass; callers are served in order, one at a time.

        A large amount passes in parts of at most `burst`, and its caller continues after the last part. A server that
        counts the whole amount at that moment may see one such amount more than the limit in a minute.
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
        """Wait until one request of at most `tokens` tokens (prompt and completion) may be sent."""
        if self._requests is not None:
            await self._requests.acquire(1)
        if self._tokens is not None:
            await self._tokens.acquire(tokens)


class RunLimits(BudgetHolder, Protocol):
    """Keeps a run within its budget and its servers' limits per minute. A run's meter has one."""

    async def acquire(self, server: str, tokens: int) -> None:
        """Wait until one request of at most `tokens` tokens (prompt and completion) may be sent to a server."""


class ProcessLimits(Budget):
    """The limits of a run in one process.

    Args:
        config: Budget, prices, and requests and tokens per minute.
    """

    def __init__(self, config: LLMConfig) -> None:
        super().__init__(config)
        self._rpm, self._tpm = config.rpm, config.tpm

    async def acquire(self, server: str, tokens: int) -> None:
        """Wait until one request of at most `tokens` tokens (prompt and completion) may be sent to a server."""
        if self._rpm is not None or self._tpm is not None:
            await shared_rates(server, self._rpm, self._tpm).acquire(tokens)


_shared: dict[tuple[int, str, float | None, float | None], RateLimits] = {}


def shared_rates(server: str, rpm: float | None, tpm: float | None) -> RateLimits:
    """The limits per minute for a server; all callers in this process share them.

    Args:
        server: The server's address.
        rpm: Requests per minute; `None` for no limit.
        tpm: Tokens per minute; `None` for no limit.
    """
    key = (os.getpid(), server, rpm, tpm)
    if key not in _shared:
        _shared[key] = RateLimits(rpm, tpm)
    return _shared[key]
