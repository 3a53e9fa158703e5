"""Finds mixers and solvers that other packages add, by name: an entry point, or `module:attribute`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from econ_agents.errors import AgentsError, ConfigError

MIXERS, SOLVERS = "econ_agents.mixers", "econ_agents.solvers"
"""Groups of entry points."""
BUILT_IN: Mapping[str, tuple[str, ...]] = {MIXERS: ("attention", "mean"), SOLVERS: ("simultaneous",)}
"""Names that this package gives a meaning itself."""

_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def check_name(group: str, name: str) -> str:
    """The same name, if it is built in, registered, or of the form `module:attribute`; nothing is imported.

    Raises:
        ConfigError: It is not; the text names the nearest known one.
    """
    if name in BUILT_IN[group] or is_path(name) or entry_points(group=group, name=name):
        return name
    known = sorted({*BUILT_IN[group], *entry_points(group=group).names})
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}, and module:attribute"
    raise ConfigError(f"unknown {_noun(group)} {name!r}; {hint}")


def is_path(name: str) -> bool:
    """Whether a name is of the form `module:attribute`, so that it can stand for anything that can be imported."""
    return _PATH.fullmatch(name) is not None


def path_of(thing: Callable[..., Any]) -> str:
    """The name `module:attribute` of a class or function.

    Raises:
        ConfigError: It can't be found again by it.
    """
    path = f"{thing.__module__}:{thing.__qualname__}"
    if not is_path(path):
        raise ConfigError(f"{path} can't be found again by its name; put it at the top level of a module")
    return path


@cache
def load_plugin(group: str, name: str) -> Any:
    """What a package registered under a name, or what `module:attribute` is.

    Raises:
        ConfigError: Nothing is called that, several things are, or it can't be imported.
    """
    check_name(group, name)
    found = {entry.value: entry for entry in entry_points(group=group, name=name)}
    if len(found) > 1:
        raise ConfigError(f"several packages register the {_noun(group)} {name!r}: say which of {', '.join(found)}")
    entry = next(iter(found.values()), EntryPoint(name, name, group))
    try:
        return entry.load()
    except Exception as error:  # whatever somebody else's module raises at this border is named after it
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"{_noun(group)} {name}: {text}") from error


def made_by(make: Callable[..., Any], label: str, *args: Any) -> Any:
    """What somebody else's class or function makes of these arguments.

    Raises:
        ConfigError: It can't; the text starts with the label.
    """
    try:
        return make(*args)
    except AgentsError:
        raise
    except Exception as error:  # as above
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"{label}: it can't be made: {text}") from error


def _noun(group: str) -> str:
    return group.rpartition(".")[2].removesuffix("s")
