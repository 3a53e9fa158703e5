"""Finds mixers and solvers of other packages by name: an entry point, or `module:attribute`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from econ_agents.errors import AgentsError, ConfigError

MIXERS, SOLVERS = "econ_agents.mixers", "econ_agents.solvers"
"""Entry point groups."""
BUILT_IN: Mapping[str, tuple[str, ...]] = {MIXERS: ("attention", "mean"), SOLVERS: ("simultaneous",)}
"""Names that are built into this package."""

_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def check_name(group: str, name: str) -> str:
    """Return the name if it is built in, registered, or of the form `module:attribute`; imports nothing.

    Raises:
        ConfigError: The name is unknown; the message gives the nearest known one.
    """
    if name in BUILT_IN[group] or is_path(name) or entry_points(group=group, name=name):
        return name
    known = sorted({*BUILT_IN[group], *entry_points(group=group).names})
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"use {', '.join(known)} or module:attribute"
    raise ConfigError(f"unknown {_noun(group)} {name!r}; {hint}")


def is_path(name: str) -> bool:
    """Whether a name is of the form `module:attribute`, which can import any object."""
    return _PATH.fullmatch(name) is not None


def path_of(thing: Callable[..., Any]) -> str:
    """The name `module:attribute` of a class or function.

    Raises:
        ConfigError: It can't be imported by that name.
    """
    path = f"{thing.__module__}:{thing.__qualname__}"
    if not is_path(path):
        raise ConfigError(f"{path} can't be imported by its name; define it at the top level of a module")
    return path


@cache
def load_plugin(group: str, name: str) -> Any:
    """Load the object that a package registered under a name, or the object `module:attribute`.

    Raises:
        ConfigError: The name is unknown, several packages register it, or the import fails.
    """
    check_name(group, name)
    found = {entry.value: entry for entry in entry_points(group=group, name=name)}
    if len(found) > 1:
        raise ConfigError(f"several packages register the {_noun(group)} {name!r}; use one of {', '.join(found)}")
    entry = next(iter(found.values()), EntryPoint(name, name, group))
    try:
        return entry.load()
    except Exception as error:  # third-party code may raise anything; the message names the module
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"{_noun(group)} {name} can't be imported: {text}") from error


def made_by(make: Callable[..., Any], label: str, *args: Any) -> Any:
    """Call a third-party class or function with these arguments.

    Raises:
        ConfigError: The call fails; the message starts with the label.
    """
    try:
        return make(*args)
    except AgentsError:
        raise
    except Exception as error:  # third-party code may raise anything
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"{label} can't be created: {text}") from error


def _noun(group: str) -> str:
    return group.rpartition(".")[2].removesuffix("s")
