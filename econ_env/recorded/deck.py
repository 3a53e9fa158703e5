"""Deals recorded replies of an episode: a shuffled deck for each cell, dealt without replacement.

How a deck is shuffled depends on the episode's seed, the problem and the cell alone. So all policies and methods that
play an episode meet the same replies in the same order, whatever they ask for: comparisons are paired.
"""

from __future__ import annotations

from econ_env.recorded.grid import Around

_MASK = 2**64 - 1
_CHOICE = 0x5CE11
"""Keeps the draws of cells apart from the shuffles."""


def mixed(*parts: int) -> int:
    """64 bits that depend on all parts; the same on every machine.

    The finaliser is that of SplitMix64 (Steele, Lea and Flood 2014, https://doi.org/10.1145/2660193.2660195).
    """
    state = 0
    for part in parts:
        state = (state ^ (part & _MASK)) + 0x9E3779B97F4A7C15 & _MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


def unit(*parts: int) -> float:
    """A number in [0, 1) that depends on all parts."""
    return (mixed(*parts) >> 11) / 2.0**53


def shuffled(count: int, *parts: int) -> list[int]:
    """The numbers below `count` in an order that depends on the parts (Fisher and Yates)."""
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        other = mixed(*parts, last) % (last + 1)
        order[last], order[other] = order[other], order[last]
    return order


class Deck:
    """The decks of one problem in one episode.

    Args:
        seed: The episode's seed.
        problem: The problem's place in the bank.
    """

    def __init__(self, seed: int, problem: int) -> None:
        self.problem = problem
        self._seed = seed
        self._dealt: dict[int, int] = {}
        self._orders: dict[int, list[int]] = {}
        self._calls = 0

    def cell(self, around: Around) -> int:
        """Choose one of the cells around some controls, for the next call of the episode."""
        self._calls += 1
        if len(around.cells) == 1:
            return around.cells[0]
        drawn = unit(self._seed, self.problem, _CHOICE, self._calls)
        for cell, chance in zip(around.cells, around.chances, strict=True):
            drawn -= chance
            if drawn < 0.0:
                return cell
        return around.cells[-1]

    def next(self, cell: int, count: int) -> tuple[int, bool]:
        """The place of the next reply of a cell that has `count`, and whether it was dealt before.

        After the last reply they come round again in the same order.
        """
        number = self._dealt.get(cell, 0)
        self._dealt[cell] = number + 1
        if count == 1:
            return 0, number > 0
        order = self._orders.get(cell)
        if order is None:
            order = self._orders[cell] = shuffled(count, self._seed, self.problem, cell)
        return order[number % count], number >= count
