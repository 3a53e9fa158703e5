"""Chooses the columns of a row that make its problem: question, context, choices, answer and kind."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from econ_env.errors import ProblemFieldError
from econ_env.problems.choices import LETTERS
from econ_env.problems.fields import has_column, is_empty, listed, message_roles, suggestion

QUESTION_NAMES = ("question", "problem", "prompt", "query", "instruction", "input", "messages", "conversations")
"""Columns to suggest when the question's column is missing, most likely first."""

ANSWER_NAMES = (
    "answer", "final_answer", "gold", "target", "solution", "expected_answer", "ground_truth", "label", "output",
    "messages", "conversations",
)  # fmt: skip
"""The same for the answer's column."""

CONTEXT_NAMES = ("body", "context", "passage", "story", "paragraph", "background", "scenario", "table")
"""Columns (upper or lower case) with what must be read before the question."""

CHOICE_NAMES = ("choices", "options")
"""Columns (upper or lower case) with the choices of a multiple-choice question."""

_LETTERED = re.compile(r"([A-J])|((?i:option|choice)[ _]?)([A-Ja-j]|\d)")
_PICTURE = re.compile(r"(?i:images?|pictures?|figures?)(?:_?\d+)?")
_PARTNERS = {"instruction": "input"}
"""Columns that may hold a part of the question, by the column that holds the other part."""


@dataclass(frozen=True)
class Fields:
    """Which columns were asked for; `None` leaves the choice to the usual rule."""

    question: str | None = None
    answer: str | None = None
    context: str | None = None
    """Empty text: none, even if there seems to be one."""
    choices: str | None = None
    """Likewise."""


@dataclass(frozen=True)
class Columns:
    """The columns that make the problem of a row."""

    question: str
    """Holds the question's text."""
    answer: str
    """Holds the gold, alone or at the end of a solution."""
    context: str | None
    """Holds what must be read before the question."""
    choices: tuple[str, ...]
    """Holds the choices: no column, one, or one for each choice."""
    kind: tuple[str, ...]
    """Joined by `/` to the problem's label; empty if the row has none."""


def choose_columns(row: Mapping[str, Any], fields: Fields, where: str) -> Columns:
    """Decide which columns of a row to read.

    A given field must exist. The defaults are `question` and `answer`, in a row with SVAMP's columns `Body`, `Question`
    and `Answer` the latter two. A column of `CONTEXT_NAMES` goes before the question. A column of `CHOICE_NAMES`, or
    columns `A`, `B`, `C` and so on (`option_a`, `choice_1`), are the choices. Columns beside a nested question count
    as well. The kind is the column `kind` if it exists, else those of subject, type and level that exist (upper or
    lower case).

    Args:
        row: Values by column name.
        fields: What was asked for.
        where: The table's or row's name, for the error.

    Raises:
        ProblemFieldError: A field is missing (the message lists the existing ones), or several columns may be the
            context or the choices.
    """
    svamp = {"Body", "Question", "Answer"} <= set(row)
    wanted = fields.question or ("Question" if svamp else "question")
    question = _existing(wanted, row, "question_field", QUESTION_NAMES, where)
    wanted = fields.answer or ("Answer" if svamp else "answer")
    answer = _existing(wanted, row, "answer_field", ANSWER_NAMES, where)
    taken = {question, answer}
    by_lower = {column.lower(): column for column in row}
    names = ("kind",) if "kind" in by_lower else ("subject", "type", "level")
    return Columns(
        question,
        answer,
        _context(row, fields.context, taken, where),
        _choices(row, fields.choices, taken, where),
        tuple(by_lower[name] for name in names if name in by_lower),
    )


def _context(row: Mapping[str, Any], given: str | None, taken: Collection[str], where: str) -> str | None:
    if given is not None:
        return _existing(given, row, "context_field", CONTEXT_NAMES, where) if given else None
    picture = next((name for name in row if _PICTURE.fullmatch(name) and not is_empty(row[name])), None)
    if picture is not None:
        raise ProblemFieldError(
            f"{where}: {picture!r} may be a part of the question, which can only be text; remove such rows, or leave "
            "it out with context_field=''"
        )
    for question, other in _PARTNERS.items():
        part = next((name for name in _filled(row, (other,), taken)), None)
        if part is not None and any(name.lower() == question for name in taken):
            raise ProblemFieldError(
                f"{where}: {part!r} may be a part of the question; put it before the question with "
                f"context_field={part!r}, or leave it out with context_field=''"
            )
    return _only(row, _filled(row, CONTEXT_NAMES, taken), "context_field", "before the question", where)


def _choices(row: Mapping[str, Any], given: str | None, taken: Collection[str], where: str) -> tuple[str, ...]:
    if given is not None:
        return (_existing(given, row, "choices_field", CHOICE_NAMES, where),) if given else ()
    found = _only(row, _filled(row, CHOICE_NAMES, taken), "choices_field", "the choices", where)
    if found is not None:
        return (found,)
    return _lettered(row, taken)


def _lettered(row: Mapping[str, Any], taken: Collection[str]) -> tuple[str, ...]:
    """One column a choice: `option_a`, `choice 1`, or `A`, `B`, `C`. Two columns `A` and `B` may be anything else."""
    by_mark: dict[str, dict[str, str]] = {}
    for name in row:
        if (match := _LETTERED.fullmatch(name)) and name not in taken:
            by_mark.setdefault((match[2] or "").lower(), {})[(match[1] or match[3]).upper()] = name
    for prefix, columns in by_mark.items():
        for series in (LETTERS, "123456789", "0123456789"):
            if set(columns) == set(series[: len(columns)]) and len(columns) >= (2 if prefix else 3):
                return tuple(columns[mark] for mark in series[: len(columns)])
    return ()


def _filled(row: Mapping[str, Any], names: Collection[str], taken: Collection[str]) -> list[str]:
    """The columns with one of these names and a value, first those beside a nested question."""
    beside = [name.rpartition(".")[0] for name in sorted(taken) if name not in row and "." in name]
    places: list[tuple[str, Mapping[str, Any]]] = []
    for prefix in dict.fromkeys(beside):
        value: object = row
        for step in prefix.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, Mapping):
            places.append((f"{prefix}.", value))
    places.append(("", row))
    return [
        f"{prefix}{column}"
        for prefix, group in places
        for column, value in group.items()
        if column.lower() in names and f"{prefix}{column}" not in taken and not is_empty(value)
    ]


def _only(row: Mapping[str, Any], names: Sequence[str], option: str, what: str, where: str) -> str | None:
    if len(names) > 1 and not all(row.get(name) == row.get(names[0]) for name in names):
        raise ProblemFieldError(
            f"{where}: several columns may be {what}: {listed(names)}; choose one with {option}={names[0]!r}, or none "
            f"with {option}=''"
        )
    return names[0] if names else None


def _existing(field: str, row: Mapping[str, Any], option: str, usual: Collection[str], where: str) -> str:
    if has_column(row, field):
        return field
    hint = suggestion(field, row)
    if not hint:
        likely = _likely(row, usual, option)
        flag = f"--{option.replace('_', '-')}"
        hint = f" Say which one it is with {option}={likely!r}, on the command line {flag} {likely}."
    raise ProblemFieldError(f"{where} has no field {field!r}; it has: {listed(row)}.{hint}")


def _likely(row: Mapping[str, Any], usual: Collection[str], option: str) -> str:
    """The name to suggest for a missing column, perhaps of a part of one; `...` if none is usual."""
    by_lower = {column.lower(): column for column in row}
    name = next((by_lower[name] for name in usual if name in by_lower), None)
    if name is not None:
        return _with_role(name, row[name], option)
    parts = (f"{column}.{name}" for column, value in row.items() if isinstance(value, Mapping) for name in value)
    return next((part for part in parts if part.rpartition(".")[2].lower() in usual), "...")


def _with_role(name: str, value: object, option: str) -> str:
    """The dotted name of the message to suggest in a chat, the first for the question and the last for the answer."""
    roles = message_roles(value)
    if not roles:
        return name
    turns = [role for role in roles if role != "system"] or roles
    role = turns[0] if option == "question_field" else turns[-1]
    return f"{name}.{role}"
