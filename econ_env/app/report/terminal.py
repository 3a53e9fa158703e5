"""Prints a summary of runs: comparison of methods and their controls, in at most 80 columns."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from econ_env.app.compare.compare_table import print_overview
from econ_env.app.report.cells import ReportTable
from econ_env.app.report.runs import Runs
from econ_env.app.report.tables import control_names, controls, refinement
from econ_env.app.runs.display import recorded_words
from econ_env.app.runs.results import sum_recorded
from econ_env.control_names import short_names


def print_summary(console: Console, runs: Runs) -> None:
    """Print accuracy, cost and behaviour of the methods, then the controls by kind of problem."""
    for run in runs.runs:
        state = "" if run.complete else " (not complete)"
        console.print(f"{run.path}: {len(run.rows):,} answers{state}", highlight=False, soft_wrap=True, markup=False)
    print_overview(console, runs.overview, runs.matching, runs.names)
    names = short_names(control_names(runs))
    _print(console, "controls", controls(runs), ("method", "kind", *names, "right"))
    _print(
        console, "refinement", refinement(runs),
        ("method", "repeated", "at rest", "cycle", "used up", "invalid", "residual", "gap"),
    )  # fmt: skip
    played = sum_recorded(runs.rows)
    if played is not None:
        console.print(f"\nrecorded {recorded_words(played)}", highlight=False, soft_wrap=True)


def _print(console: Console, title: str, numbers: ReportTable, headings: tuple[str, ...]) -> None:
    """Print the columns that have a heading here, with these shorter headings."""
    if not numbers.rows:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for place, heading in enumerate(headings):
        words = not numbers.columns[place].numeric
        table.add_column(heading if place else title, justify="left" if words else "right", overflow="fold")
    before = ""
    for row in numbers.rows:
        label = row[0].text
        table.add_row(Text("" if label == before else label), *(Text(cell.text) for cell in row[1 : len(headings)]))
        before = label
    console.print()
    console.print(table)
