"""Finds the value of a column in a row, also inside nested columns and lists of chat messages, by a dotted name.

`reward_model.ground_truth` is a part of a column, `answer.0` an element of a list (`answer.-1` the last), and
`messages.user` the content of the only message with that role. A column whose own name has a dot comes first.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

from econ_env.errors import ProblemFieldError

_ROLES = ("role", "from")
_CONTENTS = ("content", "value")


def has_column(row: Collection[str], name: str) -> bool:
    """Whether a row has the column that a name starts with."""
    return name in row or name.partition(".")[0] in row


def value_of(row: Mapping[str, Any], name: str) -> object:
    """The value that a name means.

    Args:
        row: Values by column name.
        name: A column's name, or a dotted name.

    Raises:
        ProblemFieldError: There is no such part; the message lists those that there are.
    """
    if name in row:
        return row[name]
    value: object = row
    steps = name.split(".")
    for place, step in enumerate(steps):
        if value is None:
            return None
        value = _step(value, step, ".".join(steps[:place]), name, last=place == len(steps) - 1)
    return value


def unwrap(value: object) -> object:
    """The element of a list of one element; any other value as it is."""
    while isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    return value


def is_empty(value: object) -> bool:
    """Whether a value says nothing: none, blank text, or a list or group of such values."""
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, Mapping):
        return all(map(is_empty, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_empty, value))
    return value is None


def message_roles(value: object) -> list[str]:
    """The roles of a list of chat messages, in order; empty if it is none."""
    if not isinstance(value, list | tuple):
        return []
    roles = [_first(item, _ROLES) for item in value]
    return [str(role) for role in roles] if None not in roles else []


def suggestion(word: str, known: Collection[str]) -> str:
    """A sentence that names the known word closest to a mistyped one; empty if none is close."""
    close = difflib.get_close_matches(word.lower(), [name.lower() for name in known], n=1, cutoff=0.75)
    return next((f" Did you mean {name!r}?" for name in known if close and name.lower() == close[0]), "")


def listed(names: Collection[str]) -> str:
    """Column names for a message, long ones cut, at most 30."""
    shown = [name if len(name) <= 40 else f"{name[:37]}..." for name in islice(names, 30)]
    return ", ".join(shown) + (f" and {len(names) - 30} more" if len(names) > 30 else "")


def short(value: object) -> str:
    """A value for a message, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _step(value: object, step: str, before: str, name: str, *, last: bool) -> object:
    if isinstance(value, Mapping):
        if step in value:
            return value[step]
        raise ProblemFieldError(f"there is no {name!r}: {before or 'the row'} has {listed(value)}")
    if not isinstance(value, list | tuple):
        raise ProblemFieldError(f"there is no {name!r}: {before} is {short(value)}, which has no parts")
    if step.removeprefix("-").isdecimal():
        index = int(step)
        if not -len(value) <= index < len(value):
            raise ProblemFieldError(f"there is no {name!r}: {before} has {len(value)} elements, counted from 0")
        return value[index]
    if not message_roles(value):
        raise ProblemFieldError(f"there is no {name!r}: {before} is a list; give an element's number, as {before}.0")
    found = [message for message in value if _first(message, _ROLES) == step]
    if len(found) != 1:
        roles = ", ".join(message_roles(value))
        raise ProblemFieldError(
            f"{name!r} must be one message, but {before} has {len(found)} of {step!r} (roles: {roles}); give a number, "
            f"as {before}.0.content"
        )
    return _first(found[0], _CONTENTS) if last else found[0]


def _first(item: object, keys: Collection[str]) -> object:
    return next((item[key] for key in keys if key in item), None) if isinstance(item, Mapping) else None
