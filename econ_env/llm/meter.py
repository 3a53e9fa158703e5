"""Counts the cost of a run's model calls, by purpose."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeVar

from econ_env.config import LLMConfig
from econ_env.errors import BudgetError
from econ_env.llm.budget import price
from econ_env.llm.limits import ProcessLimits, RunLimits
from econ_env.llm.protocol import ChatRequest
from econ_env.records import CallRole, Usage

Reason = Literal[
    "timeout", "connection", "rate_limited", "server_error", "unusable", "refused", "context", "budget", "cancelled"
]
"""Why an attempt or a call failed."""


PROBLEMS_KEPT = 10_000
"""Problems that are counted separately."""

K = TypeVar("K")


class ServerCount(NamedTuple):
    """Counts of one server."""

    answers: int = 0
    """Its answers, also unusable ones."""
    tokens: int = 0
    """Tokens of these answers, prompt and completion."""
    faults: int = 0
    """Failed attempts at this server."""

    def plus(self, other: ServerCount) -> ServerCount:
        """Sum of both counts."""
        return ServerCount(*(one + two for one, two in zip(self, other, strict=True)))


class LeftOut(NamedTuple):
    """What a server refused for a model."""

    fields: tuple[str, ...]
    """Fields of the request, sorted."""
    dead: tuple[str, ...]
    """Controls that have no effect because of it."""


@dataclass(frozen=True)
class MeterSnapshot:
    """Counts at one moment; each `by_...` mapping except `by_server` sums up to `total`."""

    total: Usage
    """Sum of all calls; a failed call adds its tokens and retries, but not itself."""
    sent: Usage
    """Tokens of all answers from servers, as charged to the budget; without answers from the cache."""
    by_role: dict[CallRole, Usage]
    """By the purpose of the call."""
    by_agent: dict[str, Usage]
    """By executor or, in a large team, cluster; the calls of the team's coordinator are under the empty name."""
    by_problem: dict[str, Usage]
    """By problem id; with more than `PROBLEMS_KEPT`, the earliest are summed under the empty id."""
    by_round: dict[int, Usage]
    """By the round within a decision."""
    by_retried: dict[bool, Usage]
    """By whether the call needed a retry."""
    by_server: dict[str, ServerCount]
    """By the server's address without credentials; tokens sum up to those of `sent`, faults to `faults`."""
    failed: dict[Reason, int]
    """Calls that failed even after their retries."""
    faults: dict[Reason, int]
    """Failed attempts, also if a retry succeeded."""
    left_out: dict[tuple[str, str], LeftOut]
    """What servers refused in this process, by server and model; a new account keeps it."""
    usd: float | None
    """Price of the tokens in `sent`, in US dollars; `None` without prices."""


class Meter:
    """The account of a run. Different threads may count and read.

    Args:
        config: Budget and prices.

    Attributes:
        limits: Budget and limits per minute; by default those of this process, and replaceable before the first call.
    """

    def __init__(self, config: LLMConfig) -> None:
        self._config = config
        self._limited = config.budget_tokens is not None or config.budget_usd is not None
        self._lock = threading.Lock()
        self.limits: RunLimits = ProcessLimits(config)
        self._left_out: dict[tuple[str, str], LeftOut] = {}
        self.reset()

    def reset(self) -> None:
        """Start a new account with the full budget; calls in flight count towards it."""
        self.limits.refill()
        with self._lock:
            self._start()

    def _start(self) -> None:
        self._total = Usage()
        self._sent = Usage()
        self._by_role: dict[CallRole, Usage] = {}
        self._by_agent: dict[str, Usage] = {}
        self._by_problem: dict[str, Usage] = {}
        self._by_round: dict[int, Usage] = {}
        self._by_retried: dict[bool, Usage] = {}
        self._by_server: dict[str, ServerCount] = {}
        self._failed: Counter[Reason] = Counter()
        self._faults: Counter[Reason] = Counter()

    def send(self, usage: Usage, server: str) -> None:
        """Charge a server's answer to the budget at once, even if its call is not over yet."""
        with self._lock:
            self._sent += usage
            self.limits.spend(usage)
            self._count(server, ServerCount(answers=1, tokens=usage.tokens))

    def add(self, request: ChatRequest, usage: Usage) -> None:
        """Count an answered call, or the cost of a failed one, under its labels."""
        with self._lock:
            self._total += usage
            _add(self._by_role, request.role, usage)
            _add(self._by_agent, request.agent, usage)
            self._add_problem(request.problem_id, usage)
            _add(self._by_round, request.round_index, usage)
            _add(self._by_retried, usage.retries > 0, usage)

    def fail(self, request: ChatRequest, reason: Reason, usage: Usage) -> None:
        """Count a call that failed even after its retries, and its cost."""
        self.add(request, replace(usage, calls=0))
        with self._lock:
            self._failed[reason] += 1

    def fault(self, reason: Reason, server: str) -> None:
        """Count a failed attempt at a server."""
        with self._lock:
            self._faults[reason] += 1
            self._count(server, ServerCount(faults=1))

    def leave_out(self, server: str, model: str, what: LeftOut) -> None:
        """Record what a server refuses for a model."""
        with self._lock:
            self._left_out[server, model] = what

    def snapshot(self) -> MeterSnapshot:
        """The counts so far; later calls do not change the snapshot."""
        with self._lock:
            return self._counted()

    def take(self) -> MeterSnapshot:
        """Return the counts since the last `take`, for `merge` in another process; the budget does not change."""
        with self._lock:
            counted = self._counted()
            self._start()
            return counted

    def merge(self, counted: MeterSnapshot) -> None:
        """Add counts that another process got from `take`; the budget does not change."""
        with self._lock:
            self._total += counted.total
            self._sent += counted.sent
            _merge(self._by_role, counted.by_role)
            _merge(self._by_agent, counted.by_agent)
            for problem, usage in counted.by_problem.items():
                self._add_problem(problem, usage)
            _merge(self._by_round, counted.by_round)
            _merge(self._by_retried, counted.by_retried)
            for server, count in counted.by_server.items():
                self._count(server, count)
            self._failed.update(counted.failed)
            self._faults.update(counted.faults)
            self._left_out |= counted.left_out

    def _counted(self) -> MeterSnapshot:
        return MeterSnapshot(
            total=self._total,
            sent=self._sent,
            by_role=dict(self._by_role),
            by_agent=dict(self._by_agent),
            by_problem=dict(self._by_problem),
            by_round=dict(self._by_round),
            by_retried=dict(self._by_retried),
            by_server=dict(self._by_server),
            failed=dict(self._failed),
            faults=dict(self._faults),
            left_out=dict(self._left_out),
            usd=price(self._config, self._sent),
        )

    def hold(self, prompt_tokens: int, completion_tokens: int) -> AbstractAsyncContextManager[None]:
        """Reserve a call's largest possible cost while it is in flight; used on the background loop only.

        Raises:
            BudgetError: The remaining budget is too small for the call.
        """
        return self.limits.hold(prompt_tokens, completion_tokens)

    def check_counted(self, usage: Usage, where: str) -> None:
        """Check that a server counts tokens, which a budget needs.

        Args:
            usage: Usage that a server reports for an answer.
            where: The server.

        Raises:
            BudgetError: There is a budget, but the server does not count tokens.
        """
        if self._limited and usage.tokens == 0:
            raise BudgetError(f"{where} does not say how many tokens its answers take, so no budget can be kept there")

    def _add_problem(self, problem: str, usage: Usage) -> None:
        _add(self._by_problem, problem, usage)
        if len(self._by_problem) > PROBLEMS_KEPT:
            earliest = next(id_ for id_ in self._by_problem if id_)
            _add(self._by_problem, "", self._by_problem.pop(earliest))

    def _count(self, server: str, count: ServerCount) -> None:
        self._by_server[server] = self._by_server.get(server, ServerCount()).plus(count)


def _merge(account: dict[K, Usage], other: Mapping[K, Usage]) -> None:
    for key, usage in other.items():
        _add(account, key, usage)


def _add(account: dict[K, Usage], key: K, usage: Usage) -> None:
    known = account.get(key)
    account[key] = usage if known is None else known + usage


_meters: dict[tuple[int, LLMConfig], Meter] = {}


def shared_meter(config: LLMConfig) -> Meter:
    """The account that all models with these settings share in this process.

    So coordinator and executors share one budget, also on different servers.
    """
    key = (os.getpid(), config)
    meter = _meters.get(key)
    return _meters.setdefault(key, Meter(config)) if meter is None else meter
