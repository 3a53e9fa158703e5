"""Finds the number of samples or rounds with which a method costs as much as another one."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from econ_env.errors import ConfigError


@dataclass(frozen=True)
class Match:
    """The chosen number, and how close its cost is to the target."""

    units: int
    """Samples k or N, or rounds R."""
    target: float
    """Target of the mean cost per problem."""
    probes: Mapping[int, float]
    """Mean cost per problem at each number of units that was tried."""

    @property
    def cost(self) -> float:
        """Mean cost per problem at the chosen number, on the probed problems."""
        return self.probes[self.units]

    @property
    def ratio(self) -> float:
        """Cost divided by target; 1 is a perfect match."""
        return self.cost / self.target


async def match_units(
    cost: Callable[[int], Awaitable[float]], target: float, *, most: int = 64, growth: float = math.inf, tries: int = 6
) -> Match:
    """Find the number of units whose cost has the ratio to the target nearest to 1, with few measurements.

    Starts with one unit. Then tries where a line through the measurements reaches the target, until a number repeats.

    Args:
        cost: Measures the mean cost per problem at a number of units; > 0, and grows with that number.
        target: Target cost, > 0.
        most: Largest number to try.
        growth: Largest factor between a try and the next higher one; keep it small if cost grows faster than units.
        tries: Most measurements.

    Raises:
        ConfigError: The target is not positive.
    """
    if not target > 0:
        raise ConfigError(f"a method can only be matched to a cost above 0, got {target}")
    probes: dict[int, float] = {}
    units = 1
    while units not in probes and len(probes) < tries:
        probes[units] = await cost(units)
        units = min(_next(probes, target, growth), most)
    nearest = min(probes, key=lambda tried: abs(math.log(probes[tried] / target)))
    return Match(nearest, target, probes)


def _next(probes: Mapping[int, float], target: float, growth: float) -> int:
    """The next number to measure; a measured one if no number between is left."""
    under = [units for units in probes if probes[units] <= target]
    over = [units for units in probes if probes[units] > target]
    if not under:
        return min(over)
    low = max(under)
    if over:
        high = min(over)
        share = (target - probes[low]) / (probes[high] - probes[low])
        between = round(low + share * (high - low))
        return min(max(between, low + 1), high - 1) if high - low > 1 else low
    earlier = max((units for units in under if units < low), default=0)
    slope = (probes[low] - probes.get(earlier, 0.0)) / (low - earlier)
    ahead = low + (target - probes[low]) / slope if slope > 0 else math.inf
    return max(low + 1, round(min(ahead, growth * low, 2.0**31)))
