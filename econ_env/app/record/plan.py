"""Estimates what a recording takes, from its first calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from econ_env.app.record.recording import Call, Recording
from econ_env.config import LLMConfig
from econ_env.llm.budget import price
from econ_env.llm.http.waits import spoken
from econ_env.records import Usage

FIRST_CALLS = 8
"""Calls of each model by which a recording is measured, or as many as are in flight at once if these are more."""


def plan_lines(recording: Recording, waiting: int) -> dict[str, str]:
    """What will be asked, by label, before any call.

    Args:
        recording: The recording.
        waiting: Calls without a reply so far.
    """
    counts = {
        "problem": len(recording.problems),
        "model": len(recording.models),
        "cell": len(recording.cells),
        "sample": recording.samples,
    }
    product = " x ".join(f"{count:,} {what}{'' if count == 1 else 's'}" for what, count in counts.items())
    done = recording.total - waiting
    cells = {name: sorted({getattr(cell, name) for cell in recording.cells}) for name in recording.cells[0]._fields}
    return {
        "plan": f"{product} = {recording.total:,} calls" + (f", {done:,} done" if done else ""),
        "cells": "; ".join(f"{name} {', '.join(map('{:g}'.format, values))}" for name, values in cells.items()),
        "prompts": recording.prompts,
    }


def first_calls(waiting: Sequence[Call], in_flight: int) -> list[list[Call]]:
    """The calls by which each model is measured: spread evenly over its calls, so over all its cells.

    Args:
        waiting: Calls without a reply.
        in_flight: Most calls in flight at once.

    Returns:
        The calls of each model.
    """
    by_model: dict[int, list[Call]] = defaultdict(list)
    for call in waiting:
        by_model[call.model].append(call)
    most = max(FIRST_CALLS, in_flight)
    return [own[:: max(1, len(own) // most)][:most] for own in by_model.values()]


@dataclass(frozen=True)
class Measured:
    """What the first calls of a model took."""

    calls: int
    """Number of these calls."""
    left: int
    """Its calls that are still to be made."""
    used: Usage
    """Tokens of the replies; `calls` counts them."""
    seconds: float
    """Wall time."""

    @property
    def sent(self) -> int:
        """Replies that did not come from the cache."""
        return self.used.calls - self.used.cache_hits

    @property
    def rest(self) -> Usage:
        """Tokens of the calls that are left, if they take as many as these."""
        each = self.left / self.used.calls
        return Usage(
            prompt_tokens=round(self.used.prompt_tokens * each),
            completion_tokens=round(self.used.completion_tokens * each),
        )


def estimate_lines(measured: Sequence[Measured], config: LLMConfig, where: str) -> dict[str, str]:
    """What the calls that are left will take, by label.

    Args:
        measured: What the first calls of each model took.
        config: Has the prices.
        where: Where the replies to the first calls are kept; empty for nowhere.
    """
    calls, used = sum(part.calls for part in measured), sum((part.used for part in measured), Usage())
    if not all(part.used.calls for part in measured):
        return {"measured": f"on {calls:,} first calls: a model answered none of its own, so there is no estimate"}
    each = f"{used.prompt_tokens / used.calls:,.0f} + {used.completion_tokens / used.calls:,.0f} tokens a call"
    lines = {"measured": f"on {calls:,} first calls{f', kept in {where}' if where else ''}: {each}"}
    waiting = [part for part in measured if part.left]
    if not waiting:
        return lines
    total = sum((part.rest for part in waiting), Usage())
    paid = price(config, total)
    known = all(part.sent for part in waiting)
    seconds = sum(part.seconds / part.sent * part.left for part in waiting) if known else 0.0
    takes = (
        f"{total.tokens:,} tokens",
        *(() if paid is None else (f"{paid:,.2f} USD",)),
        spoken(seconds) if known else "time unknown: these came from the cache",
    )
    return lines | {"estimate": f"{sum(part.left for part in waiting):,} further calls: {', '.join(takes)}"}
