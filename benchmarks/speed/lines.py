"""What the parts of `speed.py` hand back: measured lines, each beside its reference; and timing in turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Line:
    """One measured thing beside what a user would otherwise have."""

    part: str
    """Heading in the table."""
    what: str
    """What was measured."""
    value: float
    """How much it was."""
    unit: str
    """Of the value and of the reference."""
    reference: str
    """What it is compared with."""
    reference_value: float
    """How much that was."""
    better: Literal["lower", "higher"]
    """Which way the ratio should go."""
    aim: float | None = None
    """Where the ratio should be; None where nothing was promised."""

    @property
    def ratio(self) -> float:
        """The value by the reference."""
        return self.value / self.reference_value

    @property
    def reached(self) -> bool | None:
        """Whether the aim was reached."""
        if self.aim is None:
            return None
        return self.ratio <= self.aim if self.better == "lower" else self.ratio >= self.aim


def in_turns(measures: Sequence[Callable[[], float]], repeats: int) -> list[float]:
    """The median of each measure, taken in turns, so that whatever else the machine does meets them alike.

    Args:
        measures: Each does its work once and tells how much it was.
        repeats: Times that each is asked, after one that does not count.
    """
    seen: list[list[float]] = [[] for _ in measures]
    order = list(range(len(measures)))
    for number in range(repeats + 1):
        for place in order if number % 2 else reversed(order):
            measured = measures[place]()
            if number:
                seen[place].append(measured)
    return [statistics.median(values) for values in seen]
