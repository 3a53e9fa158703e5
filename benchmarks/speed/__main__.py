"""Measures our own overhead, everything except model time, against common alternatives; quote only the ratios.

    python -m benchmarks.speed --json speed.json

takes about fifteen minutes on two cores; `--only` selects parts. No other program should run at the same time.
"""

from __future__ import annotations

import importlib
import itertools
import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import click
from rich.console import Console
from rich.table import Column, Table

from benchmarks.speed.job import known
from benchmarks.speed.lines import Line
from econ_env.traces import write_json

PARTS = {
    "job": ("benchmarks.speed.job", "job"),
    "single": ("benchmarks.speed.single", "single"),
    "latency": ("benchmarks.speed.team", "latency"),
    "throughput": ("benchmarks.speed.team", "throughput"),
    "environment": ("benchmarks.speed.environment", "overhead"),
    "embedding": ("benchmarks.speed.environment", "embedding"),
    "learner": ("benchmarks.speed.learner", "updates"),
    "acting": ("benchmarks.speed.learner", "acting"),
    "engine": ("benchmarks.speed.engine", "engine"),
    "tokens": ("benchmarks.speed.tokens", "tokens"),
    "start": ("benchmarks.speed.start", "start"),
}
"""Module and function of each part; a module is imported when its part runs."""


def measure(part: str, against: str | None = None) -> list[Line]:
    """Run a part; `job` also runs another revision."""
    module, name = PARTS[part]
    function = getattr(importlib.import_module(module), name)
    lines: list[Line] = function(against) if part == "job" else function()
    return lines


def show(console: Console, lines: list[Line]) -> None:
    """Print a table for each part."""
    for part, group in itertools.groupby(lines, key=lambda line: line.part):
        table = Table("value", "reference", Column("ratio", justify="right"), "aim", title=part, title_justify="left")
        for line in group:
            sign = "<=" if line.better == "lower" else ">="
            aim = "" if line.aim is None else f"{sign} {line.aim:g}: {'reached' if line.reached else 'missed'}"
            measured, beside = (
                f"{name}: {value:,.4g} {line.unit}"
                for name, value in ((line.what, line.value), (line.reference, line.reference_value))
            )
            table.add_row(measured, beside, f"{line.ratio:.3g}", aim)
        console.print(table)


@click.command()
@click.option("--only", multiple=True, type=click.Choice(tuple(PARTS)), help="Run only these parts; repeatable.")
@click.option("--against", metavar="REV", help="A commit, tag or branch; the part `job` also measures its scripts.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Also write the results here.")
def main(only: tuple[str, ...], against: str | None, file: Path | None) -> None:
    """Measure, and print one table per part."""
    if against is not None and not known(against):
        raise click.BadParameter(f"git has no revision {against!r} here", param_hint="--against")
    console = Console(stderr=True)
    lines: list[Line] = []
    for part in PARTS:
        if not only or part in only:
            with console.status(part):
                lines += measure(part, against)
    show(Console(), lines)
    if file is not None:
        machine = {
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "python": platform.python_version(),
            "versions": {name: version(name) for name in ("torch", "tianshou", "pettingzoo", "openai")},
        }
        rows = [{**asdict(line), "ratio": line.ratio, "reached": line.reached} for line in lines]
        write_json(file, {"lines": rows, "machine": machine})


if __name__ == "__main__":
    main()
