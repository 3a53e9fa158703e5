"""Finds how many samples or rounds make one method cost what another does."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from econ_env.errors import ConfigError


@dataclass(frozen=True)
class Match:
    """What was chosen, and how near it comes."""

    units: int
    """Samples k or N, or rounds R."""
    target: float
    """What a problem should cost on average."""
    probes: Mapping[int, float]
    """What a problem cost at each number of units that was tried."""

    @property
    def cost(self) -> float:
        """What a problem cost at the chosen number, on the problems it was tried on."""
        return self.probes[self.units]

    @property
    def ratio(self) -> float:
        """Cost by target; 1 is a perfect match."""
        return self.cost / self.target


async def match_units(
    cost: Callable[[int], Awaitable[float]], target: float, *, most: int = 64, growth: float = math.inf, tries: int = 6
) -> Match:
    """The number of units whose cost is nearest to a target by ratio, found by measuring a few.

    Starts with one unit and goes on where a line through what was measured reaches the target, until that is known.

    Args:
        cost: Measures the mean cost of a problem at so many units, > 0; grows with them.
        target: Wanted cost, > 0.
        most: Largest number tried.
        growth: Largest factor from one try to the next higher one; keep it small where cost grows faster than units.
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
    """Where to measure next; a number already measured when nothing between is left."""
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
