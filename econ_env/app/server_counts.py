"""Tells how a run's model calls were spread over its servers."""

from __future__ import annotations

from collections.abc import Mapping

from econ_env.app.runs.display import console, short
from econ_env.llm.meter import ServerCount

Counts = dict[str, dict[str, int]]


def count_servers(counted: Mapping[str, ServerCount], earlier: Mapping[str, Mapping[str, int]]) -> Counts:
    """What `summary.json` says of each server: `answers`, `tokens` and `faults`.

    Args:
        counted: By this process, by address without credentials.
        earlier: What an interrupted part of the run has written; a part that was killed has written nothing.
    """
    names = [*earlier, *(name for name in counted if name not in earlier)]
    return {
        name: counted.get(name, ServerCount()).plus(ServerCount(**earlier.get(name, {})))._asdict() for name in names
    }


def print_servers(servers: Mapping[str, Mapping[str, int]]) -> None:
    """Print a line per server, if there are several."""
    if len(servers) < 2:
        return
    console.print()
    for name, count in servers.items():
        faults = f", {short(count['faults'])} failed attempts" if count["faults"] else ""
        line = f"{name}: {short(count['answers'])} answers, {short(count['tokens'])} tokens{faults}"
        console.print(line, highlight=False, markup=False)
