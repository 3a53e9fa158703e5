"""Adds up what one call costs with all its attempts, and counts it in the run's account if it fails."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from econ_env.errors import (
    BudgetError,
    LLMContextError,
    LLMError,
    LLMLimitedError,
    LLMReplyError,
    LLMUnavailableError,
)
from econ_env.llm.http.deadline import Deadline
from econ_env.llm.meter import Meter, Reason
from econ_env.llm.protocol import ChatRequest
from econ_env.records import Usage


@dataclass
class CallAccount:
    """Cost of one call so far, and its deadline."""

    deadline: Deadline
    """Paused while the call waits for a slot."""
    attempts: int = 0
    """Requests sent."""
    usage: Usage = field(default_factory=Usage)
    """Tokens of the answers received."""
    fault: Reason = "server_error"
    """Reason of the last failed attempt."""

    def total(self, calls: int) -> Usage:
        """The whole cost as one `Usage` with this number of calls."""
        return self.usage + Usage(calls=calls, retries=max(0, self.attempts - 1))


def count_failure(meter: Meter, request: ChatRequest, error: BaseException, tally: CallAccount) -> None:
    """Count a call that failed for good, and store its cost in the error."""
    cost = tally.total(calls=0)
    meter.fail(request, _reason(error, tally), cost)
    if isinstance(error, LLMError):
        error.usage = cost


def _reason(error: BaseException, tally: CallAccount) -> Reason:
    """The reason under which a failed call is counted."""
    if isinstance(error, LLMUnavailableError):
        return tally.fault
    if isinstance(error, LLMContextError):
        return "context"
    if isinstance(error, LLMReplyError):
        return "unusable"
    if isinstance(error, LLMLimitedError):
        return "rate_limited"
    if isinstance(error, BudgetError):
        return "budget"
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return "refused"
