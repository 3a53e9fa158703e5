"""Finds the command line of this library, which lives with whoever brings environments along."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

GROUP = "econ_agents.commands"


def run_command(name: str) -> None:
    """Run a command, with the process's arguments.

    This package imports no environment, so the command is looked up among the installed entry points of the group
    `econ_agents.commands`; `econ_env` registers its own there.

    Args:
        name: Of the entry point.
    """
    found = next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        sys.exit(f"error: no package offers the command {name!r} (entry point group {GROUP}): pip install econ-bne")
    found.load()()
