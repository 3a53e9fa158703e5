"""Finds the cells of a bank around the controls of a call, and how likely each one is drawn.

Between two recorded values of a control the nearer one is the likelier: the chances are linear in the control, and of
several controls independent. So the accuracy of what is played goes linearly from cell to cell. An answer is always one
that was given in a cell.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Literal, NamedTuple

from econ_env.errors import BankError
from econ_env.recorded.bank import Bank

CLOSE = 1e-6
"""Values of a control that differ by less are the same."""

Draw = Literal["linear", "nearest"]


class Around(NamedTuple):
    """The cells around some controls."""

    cells: tuple[int, ...]
    """Their numbers in the bank."""
    chances: tuple[float, ...]
    """The chance of each; they sum to 1."""
    outside: tuple[str, ...]
    """Names of the controls that lie outside the recorded values."""


class Grid:
    """The cells of one model.

    Args:
        bank: The bank.
        model: The model's place in it.
        draw: How a cell is chosen between recorded values: with `linear` chances, or the `nearest`.

    Raises:
        BankError: The model's cells are no full grid, which linear chances need.
    """

    def __init__(self, bank: Bank, model: int, draw: Draw) -> None:
        self._names, self._draw = bank.controls, draw
        cells = bank.cells(model).tolist()
        values = [tuple(bank.cell_controls_GA[cell].tolist()) for cell in cells]
        self._cell_of = dict(zip(values, cells, strict=True))
        self._axes = [sorted({value[place] for value in values}) for place in range(len(bank.controls))]
        full = all(point in self._cell_of for point in product(*self._axes))
        if draw == "linear" and not full:
            raise BankError(
                f"{bank.name} has not every combination of the controls {', '.join(bank.controls)} of "
                f"{bank.models[model]} that it would take to draw between them; set recorded.draw=nearest"
            )
        self._full = full
        self._known: dict[tuple[float, ...], Around] = {}

    def around(self, controls: Mapping[str, float]) -> Around:
        """The cells around these controls; a control that the bank does not know has no effect.

        Args:
            controls: Values by name; those that are missing are taken from the middle of the recorded ones.
        """
        point = tuple(
            controls.get(name, axis[len(axis) // 2]) for name, axis in zip(self._names, self._axes, strict=True)
        )
        known = self._known.get(point)
        if known is None:
            if len(self._known) > 10_000:
                self._known.clear()
            known = self._known[point] = self._around(point)
        return known

    def _around(self, point: Sequence[float]) -> Around:
        outside = tuple(
            name
            for name, value, axis in zip(self._names, point, self._axes, strict=True)
            if not axis[0] - CLOSE <= value <= axis[-1] + CLOSE
        )
        if not self._full:
            nearest = min(self._cell_of, key=lambda cell: (self._distance(cell, point), cell))
            return Around((self._cell_of[nearest],), (1.0,), outside)
        sides = [_between(axis, value) for axis, value in zip(self._axes, point, strict=True)]
        if self._draw == "nearest":
            sides = [[max(side, key=lambda end: end[1])] for side in sides]
        cells, chances = [], []
        for corner in product(*sides):
            chance = 1.0
            for _, share in corner:
                chance *= share
            cells.append(self._cell_of[tuple(value for value, _ in corner)])
            chances.append(chance if self._draw == "linear" else 1.0)
        return Around(tuple(cells), tuple(chances), outside)

    def _distance(self, cell: Sequence[float], point: Sequence[float]) -> float:
        """Squared distance, each control in units of its recorded range."""
        spans = [(axis[-1] - axis[0]) or 1.0 for axis in self._axes]
        return sum(((a - b) / span) ** 2 for a, b, span in zip(cell, point, spans, strict=True))


def _between(axis: Sequence[float], value: float) -> list[tuple[float, float]]:
    """The recorded values next to a value, with their chances; one where it is recorded or lies outside."""
    value = min(max(value, axis[0]), axis[-1])
    place = bisect_left(axis, value - CLOSE)
    high = axis[min(place, len(axis) - 1)]
    if abs(high - value) <= CLOSE or place == 0:
        return [(high, 1.0)]
    low = axis[place - 1]
    share = (value - low) / (high - low)
    return [(low, 1.0 - share), (high, share)]
