"""Finds a command by its entry point and runs it."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

GROUP = "econ_agents.commands"


def run_command(name: str) -> None:
    """Run a command with the arguments of this process.

    This package imports no environment, so the command is looked up among the installed entry points of the group
    `econ_agents.commands`; `econ_env` registers its own there.

    Args:
        name: Name of the entry point.
    """
    found = next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        sys.exit(f"error: no package has the command {name!r} (entry point group {GROUP}); pip install econ-bne")
    found.load()()
