"""Defines the result lines of the speed benchmark, and measures several things in turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Line:
    """One measurement and the reference it is compared with."""

    part: str
    """Heading in the table."""
    what: str
    """Name of the measurement."""
    value: float
    """The measured value."""
    unit: str
    """Unit of value and reference."""
    reference: str
    """Name of the reference."""
    reference_value: float
    """Value of the reference."""
    better: Literal["lower", "higher"]
    """Whether a lower or higher ratio is better."""
    aim: float | None = None
    """Target for the ratio; None without a target."""

    @property
    def ratio(self) -> float:
        """The value divided by the reference."""
        return self.value / self.reference_value

    @property
    def reached(self) -> bool | None:
        """Whether the aim was reached."""
        if self.aim is None:
            return None
        return self.ratio <= self.aim if self.better == "lower" else self.ratio >= self.aim


def in_turns(measures: Sequence[Callable[[], float]], repeats: int) -> list[float]:
    """The median of each measure; they run in turns, so that other load on the machine affects all equally.

    Args:
        measures: Functions that each do their work once and return the measured value.
        repeats: Measurements of each, after one warm-up that does not count.
    """
    seen: list[list[float]] = [[] for _ in measures]
    order = list(range(len(measures)))
    for number in range(repeats + 1):
        for place in order if number % 2 else reversed(order):
            measured = measures[place]()
            if number:
                seen[place].append(measured)
    return [statistics.median(values) for values in seen]
