"""How long a server asks to wait, read from its headers and put into words."""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

LONGEST_CREDIBLE = 366 * 86_400.0
"""Seconds; a server that asks to wait longer means nothing by it."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait; `None` if it asks for nothing, or for more than a year.

    Read from `retry-after-ms` (Azure, OpenAI), `retry-after` as seconds or as a date, or the same with a prefix, under
    which gateways pass on what their upstream said (LiteLLM: `llm_provider-retry-after`).

    Args:
        headers: Response headers.
    """
    found = {name.lower(): value for name, value in headers.items() if "retry-after" in name.lower()}
    for name in sorted(found, key=lambda name: (len(name.removesuffix("-ms")), not name.endswith("-ms"))):
        value = found[name]
        if name.endswith("retry-after-ms"):
            seconds = _number(value) / 1000.0
        elif name.endswith("retry-after"):
            seconds = _number(value)
            if math.isnan(seconds):
                seconds = _seconds_until(value)
        else:
            continue
        if seconds <= LONGEST_CREDIBLE:  # false for nan
            return max(0.0, seconds)
    return None


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan


def _seconds_until(date: str) -> float:
    try:
        found = email.utils.parsedate_to_datetime(date)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() - time.time()
    except (ValueError, OverflowError):
        return math.nan


def spoken(seconds: float) -> str:
    """A wait in words, such as `50 s`, `12 min` or `3.0 h`."""
    if seconds < 90.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 5400.0 else f"{seconds / 3600.0:.1f} h"


def clock(seconds: float) -> str:
    """The time of day after a wait, with the date if it is not today."""
    then = datetime.now().astimezone() + timedelta(seconds=seconds)
    return then.strftime("%H:%M" if then.date() == datetime.now().astimezone().date() else "%Y-%m-%d %H:%M")
