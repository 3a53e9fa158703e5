"""Keeps a run in several processes within its limits: every process asks one Ray actor, the keeper, before each call.

So requests and tokens per minute and the budget hold for the whole run, with any number of workers and however the
calls are distributed. Asking takes about a millisecond; without limits and budget there is no keeper.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from econ_env.config import LLMConfig
from econ_env.errors import BudgetError
from econ_env.llm.budget import Budget
from econ_env.llm.limits import RateLimits
from econ_env.records import Usage


def needs_keeper(config: LLMConfig) -> bool:
    """Whether there is a limit or a budget."""
    limits = (config.rpm, config.tpm, config.budget_tokens, config.budget_usd)
    return any(limit is not None for limit in limits)


class Keeper:
    """Keeps the limits of a run; runs as a Ray actor, whose methods share one event loop.

    Args:
        config: Limits and budget.
    """

    def __init__(self, config: LLMConfig) -> None:
        self._config = config
        self._budget = Budget(config)
        self._limits: dict[str, RateLimits] = {}
        self._held: dict[tuple[int, int, int], AsyncExitStack] = {}
        self._living: dict[int, int] = {}

    async def meet(self, worker: int, process: int) -> None:
        """Note a worker's process; reservations of its earlier process, which died, are freed."""
        self._living[worker] = process
        for key in [key for key in self._held if key[0] == worker and key[1] != process]:
            await self._held.pop(key).aclose()

    async def acquire(self, server: str, tokens: int) -> None:
        """Wait until a request of at most `tokens` tokens may be sent to a server."""
        if server not in self._limits:
            self._limits[server] = RateLimits(self._config.rpm, self._config.tpm)
        await self._limits[server].acquire(tokens)

    async def hold(self, worker: int, process: int, ticket: int, prompt_tokens: int, completion_tokens: int) -> None:
        """Reserve a call's largest possible cost.

        Raises:
            BudgetError: The remaining budget is too small for the call.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._budget.hold(prompt_tokens, completion_tokens))
            if self._living.get(worker) == process:  # the worker may have died in the meantime
                self._held[worker, process, ticket] = stack.pop_all()

    async def release(self, worker: int, process: int, ticket: int, spent: Usage) -> None:
        """Charge the spent tokens, and free a call's reservation."""
        self._budget.spend(spent)
        held = self._held.pop((worker, process, ticket), None)
        if held is not None:
            await held.aclose()


class RemoteLimits:
    """The limits of a worker: a `RunLimits` that asks the keeper.

    Args:
        keeper: Ray's handle of the actor.
        worker: Number of the worker.
        config: Decides whether the keeper is asked about limits per minute.
    """

    def __init__(self, keeper: Any, worker: int, config: LLMConfig) -> None:
        self._rated = config.rpm is not None or config.tpm is not None
        self._keeper, self._worker = keeper, worker
        self._tickets = itertools.count()
        self._lock = threading.Lock()
        self._spent = Usage()

    def spend(self, usage: Usage) -> None:
        """Charge a server's answer; the keeper gets it when the call is over."""
        with self._lock:
            self._spent += usage

    def refill(self) -> None:
        """Do nothing: the budget belongs to the whole run."""

    @asynccontextmanager
    async def hold(self, prompt_tokens: int, completion_tokens: int) -> AsyncIterator[None]:
        """Reserve a call's largest possible cost while it is in flight.

        Raises:
            BudgetError: The run's remaining budget is too small for the call.
        """
        call = (self._worker, os.getpid(), next(self._tickets))
        with _errors_of_keeper():
            await self._keeper.hold.remote(*call, prompt_tokens, completion_tokens)
        try:
            yield
        finally:
            with self._lock:
                spent, self._spent = self._spent, Usage()
            self._keeper.release.remote(*call, spent)

    async def acquire(self, server: str, tokens: int) -> None:
        """Wait until the keeper lets a request pass."""
        if self._rated:
            with _errors_of_keeper():
                await self._keeper.acquire.remote(server, tokens)


@contextmanager
def _errors_of_keeper() -> Iterator[None]:
    import ray.exceptions

    try:
        yield
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise BudgetError("the keeper of the run's limits and budget has died; continue with --resume") from error
