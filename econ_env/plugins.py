"""Finds extensions by name: registered by a package as an entry point, or given as `module:attribute`."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from econ_env.errors import ConfigError, EconError

_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclass(frozen=True)
class Kind:
    """A kind of extension that other packages can add."""

    noun: str
    """Its name in messages."""
    group: str
    """The entry-point group in which packages register them."""
    members: tuple[str, ...] = ()
    """Attributes that an extension of this kind must have."""
    built_in: tuple[str, ...] = ()
    """Names that this package defines itself; only the part before a colon is compared."""


LLMS = Kind(
    "llm",
    "econ_env.llms",
    ("info", "complete", "aclose"),
    ("auto", "local", "hub", "together", "simulated", "recorded"),
)
DATASETS = Kind(
    "data set",
    "econ_env.datasets",
    (),
    (
        "bundled", "gsm8k", "gsm-plus", "gsm-hard", "gsm-symbolic", "svamp", "asdiv", "mawps", "multiarith",
        "math", "math-500", "hendrycks-math", "aime", "aime-2024", "aime-2025", "amc", "olympiadbench", "mgsm",
    ),
)  # fmt: skip
ANSWER_RULES = Kind("answer rule", "econ_env.answer_rules", ("name", "extract", "same"), ("econ",))
EMBEDDERS = Kind("embedder", "econ_env.embedders", ("name", "dim", "encode"), ("auto", "minilm", "hash", "none"))
REWARD_TERMS = Kind("reward term", "econ_env.reward_terms", ("name", "value"))
OBSERVATION_PARTS = Kind(
    "observation part",
    "econ_env.observation_parts",
    ("name", "dim", "values"),
    ("reply_confidence", "discussion", "answer_numbers", "working"),
)
PROMPT_SETS = Kind(
    "prompt set", "econ_env.prompt_sets", ("name", "strategy", "executor", "commitment", "debate"), ("econ",)
)
METHODS = Kind("method", "econ_env.methods", ("answer",))


def find(kind: Kind, name: str) -> EntryPoint | None:
    """Find the entry point of a name; `None` if the name is built in or unknown.

    Raises:
        ConfigError: Two packages register different things under this name.
    """
    if "/" in name or name.partition(":")[0] in kind.built_in:  # with a slash it is a path, a URL or a hub's id
        return None
    found = {entry.value: entry for entry in entry_points(group=kind.group, name=name)}
    if len(found) > 1:
        raise ConfigError(f"several packages register the {kind.noun} {name!r}; use one of: {', '.join(found)}")
    if found:
        return next(iter(found.values()))
    return EntryPoint(name, name, kind.group) if _PATH.fullmatch(name) else None


def is_path(name: str) -> bool:
    """Whether a name is `module:attribute`, so that using it imports the module."""
    return _PATH.fullmatch(name) is not None


def names(kind: Kind) -> list[str]:
    """All names of a kind: those built in first, then those registered."""
    return list(dict.fromkeys([*kind.built_in, *sorted(entry_points(group=kind.group).names)]))


def check_name(kind: Kind, name: str) -> str:
    """Return the name if it is built in, registered, or of the form `module:attribute`; imports nothing.

    Raises:
        ConfigError: The name is none of these; the message suggests the nearest known one.
    """
    if name in kind.built_in or find(kind, name) is not None:
        return name
    known = names(kind)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join([*known, 'module:attribute'])}"
    raise ConfigError(f"unknown {kind.noun} {name!r}; {hint}")


def load(kind: Kind, name: str) -> Any:
    """Import the object that a package registered under a name, or that `module:attribute` names.

    Raises:
        ConfigError: The name is unknown or built in, or the object can't be imported.
    """
    entry = find(kind, check_name(kind, name))
    if entry is None:
        raise ConfigError(f"the {kind.noun} {name!r} is built in and can't be loaded as an extension")
    try:
        return entry.load()
    except Exception as error:  # as in _made
        raise ConfigError(f"{kind.noun} {name}: {_one_line(error)}") from error


def make(kind: Kind, spec: Any) -> Any:
    """Make an extension, and check that it has all members of its kind.

    Args:
        kind: Kind of the extension.
        spec: A name, the extension itself, or a callable without arguments that makes it, such as its class.

    Raises:
        ConfigError: The name is unknown, it can't be imported or made, or a member is missing.
    """
    thing, label = (load(kind, spec), spec) if isinstance(spec, str) else (spec, "that was given")
    return _made(kind, label, thing) if callable(thing) else _whole(kind, label, thing)


def call(kind: Kind, name: str, *args: Any) -> Any:
    """Call the extension of this name with these arguments, and check that the result has all members of its kind.

    Raises:
        ConfigError: The name is unknown, it can't be imported or made, or a member is missing.
    """
    return _made(kind, name, load(kind, name), *args)


def _made(kind: Kind, label: str, maker: Any, *args: Any) -> Any:
    try:
        made = maker(*args)
    except EconError:
        raise
    except Exception as error:  # extensions may raise anything
        raise ConfigError(f"{kind.noun} {label}: it can't be made: {_one_line(error)}") from error
    return _whole(kind, label, made)


def _whole(kind: Kind, label: str, thing: Any) -> Any:
    lacking = [member for member in kind.members if member not in dir(thing)]  # getattr may load a model
    if lacking:
        raise ConfigError(
            f"{kind.noun} {label}: {type(thing).__name__} has no {', '.join(lacking)}; "
            f"{kind.noun}s need {', '.join(kind.members)}"
        )
    return thing


def origin(kind: Kind, name: str) -> str | None:
    """Distribution and version that a name comes from; `None` if it is built in or not from an installed package."""
    entry = find(kind, name)
    return None if entry is None or entry.dist is None else f"{entry.dist.name} {entry.dist.version}"


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
