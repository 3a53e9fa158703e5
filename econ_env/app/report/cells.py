"""Defines cells, columns and tables of the report, and formats the numbers in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from econ_env.app.compare.readable import key_of
from econ_env.app.report.runs import Runs

DASH = "–"


@dataclass(frozen=True)
class Cell:
    """One cell."""

    text: str
    """The main text."""
    detail: str = ""
    """Smaller text after it, such as an interval or a count."""
    bar: tuple[float, float | None, float | None] | None = None
    """Value, lower and upper bound to draw as a bar, in the column's range."""
    hint: str = ""
    """What the pointer shows over it, such as a method's name in files."""


@dataclass(frozen=True)
class Column:
    """One column."""

    name: str
    """Heading."""
    unit: str = ""
    """Unit of its numbers."""
    numeric: bool = True
    """Whether it is aligned to the right."""
    span: tuple[float, float] = (0.0, 1.0)
    """Range of its bars."""


@dataclass(frozen=True)
class ReportTable:
    """One table; the first column names the row."""

    title: str
    """What it shows."""
    columns: list[Column]
    """From left to right."""
    rows: list[list[Cell]]
    """Cells, one per column."""
    notes: tuple[str, ...] = ()
    """How to read it."""

    @property
    def has_bars(self) -> bool:
        """Whether a cell has a bar, which wants width."""
        return any(cell.bar is not None for row in self.rows for cell in row)


def named(runs: Runs, label: str) -> Cell:
    """The cell that names a row's method; its name in files is the hint."""
    return Cell(runs.names[label], hint=key_shown(runs, label))


def key_shown(runs: Runs, label: str) -> str:
    """A method's name in files; empty if readers see that name."""
    return key_of(label) if runs.names[label] != label else ""


def without_empty(table: ReportTable) -> ReportTable:
    """The table without columns that have only dashes."""
    kept = [place for place in range(len(table.columns)) if any(row[place].text != DASH for row in table.rows)]
    columns = [table.columns[place] for place in kept]
    return replace(table, columns=columns, rows=[[row[place] for place in kept] for row in table.rows])


def p_value(value: float | None) -> str:
    """A p-value as text."""
    return DASH if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def estimate(
    found: Mapping[str, float | None], middle: str, bound: str, scale: float = 100.0, bar: bool = True
) -> Cell:
    """A value with its interval.

    Args:
        found: `value`, `low` and `high`; `value` must not be `None`.
        middle: Format of the value.
        bound: Format of the interval's ends.
        scale: Factor for all three numbers.
        bar: Whether to draw a bar.
    """
    value, low, high = found["value"], found["low"], found["high"]
    assert value is not None
    detail = "" if low is None or high is None else f"{bound.format(scale * low)} to {bound.format(scale * high)}"
    text = middle.format(scale * value)
    return Cell(minus(text), minus(detail), (value, low, high) if bar else None)


def minus(text: str) -> str:
    """The text with true minus signs."""
    return text.replace("-", "−")


def spread(values: list[float]) -> Cell:
    """Mean and standard deviation."""
    return Cell(f"{np.mean(values):.2f} ± {np.std(values):.2f}") if values else Cell(DASH)


def number(value: float | None, form: str) -> str:
    """A number in a format, or a dash."""
    return DASH if value is None else form.format(value)


def percent(share: float | None) -> str:
    """A share in per cent, or a dash."""
    return DASH if share is None else f"{100 * share:.1f}"
