"""Keeps a run that is spread over processes within its limits: one actor that every process asks before each call.

So requests and tokens per minute and the budget hold for the whole run, however many workers there are and whichever of
them is busy. Asking takes about a millisecond; where there is neither limit nor budget nobody is asked.
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
    """Whether there is a limit or a budget to keep."""
    limits = (config.rpm, config.tpm, config.budget_tokens, config.budget_usd)
    return any(limit is not None for limit in limits)


class Keeper:
    """The keeper; made a Ray actor, whose methods share one event loop.

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
        """Note which process a worker is; what an earlier one held, which died, is free again."""
        self._living[worker] = process
        for key in [key for key in self._held if key[0] == worker and key[1] != process]:
            await self._held.pop(key).aclose()

    async def acquire(self, server: str, tokens: int) -> None:
        """Wait until a server may be sent a request of at most so many tokens."""
        if server not in self._limits:
            self._limits[server] = RateLimits(self._config.rpm, self._config.tpm)
        await self._limits[server].acquire(tokens)

    async def hold(self, worker: int, process: int, ticket: int, prompt_tokens: int, completion_tokens: int) -> None:
        """Set aside what a call may cost at most.

        Raises:
            BudgetError: What is left of the budget does not suffice for it.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._budget.hold(prompt_tokens, completion_tokens))
            if self._living.get(worker) == process:  # it may have died while it waited
                self._held[worker, process, ticket] = stack.pop_all()

    async def release(self, worker: int, process: int, ticket: int, spent: Usage) -> None:
        """Pay what was spent, and free what was set aside for a call."""
        self._budget.spend(spent)
        held = self._held.pop((worker, process, ticket), None)
        if held is not None:
            await held.aclose()


class RemoteLimits:
    """The limits of a worker, which asks the keeper; a `RunLimits`.

    Args:
        keeper: Ray's handle of the actor.
        worker: Number of the worker.
        config: Says whether there are rates to ask about.
    """

    def __init__(self, keeper: Any, worker: int, config: LLMConfig) -> None:
        self._rated = config.rpm is not None or config.tpm is not None
        self._keeper, self._worker = keeper, worker
        self._tickets = itertools.count()
        self._lock = threading.Lock()
        self._spent = Usage()

    def spend(self, usage: Usage) -> None:
        """Pay for what a server has answered; the keeper is told when the call is over."""
        with self._lock:
            self._spent += usage

    def refill(self) -> None:
        """Nothing: it is the run's budget."""

    @asynccontextmanager
    async def hold(self, prompt_tokens: int, completion_tokens: int) -> AsyncIterator[None]:
        """Set aside what a call may cost at most while it is in flight.

        Raises:
            BudgetError: What is left of the run's budget does not suffice for the call.
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
        raise BudgetError("the process that keeps limits and budget of the run is gone; go on with --resume") from error
