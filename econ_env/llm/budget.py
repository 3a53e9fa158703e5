"""Keeps a run within its budget of tokens and money."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Protocol

from econ_env.config import LLMConfig
from econ_env.errors import BudgetError
from econ_env.records import Usage


def price(config: LLMConfig, used: Usage) -> float | None:
    """Price of the used tokens in US dollars; `None` without prices."""
    if config.price_prompt is None or config.price_completion is None:
        return None
    return (used.prompt_tokens * config.price_prompt + used.completion_tokens * config.price_completion) / 1e6


class BudgetHolder(Protocol):
    """Pays for calls: the budget itself, or a client of a budget in another process."""

    def spend(self, usage: Usage) -> None:
        """Charge a server's answer to the budget."""

    def hold(self, prompt_tokens: int, completion_tokens: int) -> AbstractAsyncContextManager[None]:
        """Reserve a call's largest possible cost while it is in flight.

        Raises:
            BudgetError: The remaining budget is too small for the call.
        """

    def refill(self) -> None:
        """Start with the full budget again."""


class Budget:
    """The budget of a run; it is never exceeded. `spend` may run in any thread, `hold` on one event loop.

    Args:
        config: Budget and prices.
    """

    def __init__(self, config: LLMConfig) -> None:
        self._config = config
        self._limited = config.budget_tokens is not None or config.budget_usd is not None
        self._lock = threading.Lock()
        self._room = asyncio.Event()
        self._turn = asyncio.Lock()
        self._spent = Usage()
        self._held_tokens = 0
        self._held_usd = 0.0

    def spend(self, usage: Usage) -> None:
        """Charge a server's answer at once, even if its call is not over yet."""
        with self._lock:
            self._spent += usage

    def refill(self) -> None:
        """Start with the full budget again; calls in flight count towards it."""
        with self._lock:
            self._spent = Usage()

    def hold(self, prompt_tokens: int, completion_tokens: int) -> AbstractAsyncContextManager[None]:
        """Reserve a call's largest possible cost while it is in flight.

        If the call fits only if calls in flight cost less than reserved, it waits for them; later calls wait too.

        Raises:
            BudgetError: The remaining budget is too small for the call.
        """
        return self._hold(prompt_tokens, completion_tokens) if self._limited else nullcontext()

    @asynccontextmanager
    async def _hold(self, prompt_tokens: int, completion_tokens: int) -> AsyncIterator[None]:
        tokens = prompt_tokens + completion_tokens
        usd = price(self._config, Usage(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)) or 0.0
        async with self._turn:
            while lacking := self._lacking(tokens, usd):
                if self._held_tokens == 0:
                    raise BudgetError(lacking)
                self._room.clear()
                await self._room.wait()
            self._held_tokens += tokens
            self._held_usd += usd
        try:
            yield
        finally:
            self._held_tokens -= tokens
            self._held_usd = self._held_usd - usd if self._held_tokens else 0.0
            self._room.set()

    def _lacking(self, tokens: int, usd: float) -> str | None:
        """Why the budget is too small for one more call; `None` if it is not."""
        config = self._config
        spent = self._spent.tokens
        if config.budget_tokens is not None and spent + self._held_tokens + tokens > config.budget_tokens:
            return (
                f"the budget of {config.budget_tokens} tokens is used up: {spent} spent, "
                f"and one more call may take {tokens}"
            )
        paid = price(config, self._spent) or 0.0
        if config.budget_usd is not None and paid + self._held_usd + usd > config.budget_usd:
            return (
                f"the budget of {config.budget_usd:g} US dollars is used up: {paid:.4f} spent, "
                f"and one more call may take {usd:.4f}"
            )
        return None
