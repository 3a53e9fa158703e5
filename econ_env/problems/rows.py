"""Makes a `Problem` from one row of a data set."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from econ_env.errors import ProblemError, ProblemFieldError, ProblemGoldError
from econ_env.problems.choices import Choices, read_choice, read_choices
from econ_env.problems.columns import Columns
from econ_env.problems.fields import is_empty, message_roles, short, unwrap, value_of
from econ_env.problems.gold import read_gold
from econ_env.records import Problem


@dataclass
class RowError(Exception):
    """A row of which no problem can be made; the loader tells whether the row or the column is at fault."""

    option: str
    """The argument that names the column at fault."""
    column: str
    """That column."""
    text: str
    """What is wrong with its value."""
    kind: type[ProblemError] = ProblemFieldError
    """The error to raise."""


def to_problem(row: Mapping[str, Any], columns: Columns, *, id: str, source: str) -> Problem:
    """Make one problem from a row.

    The question is the context (where there is one), then the question, then the choices, one a line: `A) ...`. A blank
    line follows the context and comes before the choices; a body, as in SVAMP, is the first sentence of the question.
    What the question says already is not repeated.

    Args:
        row: Values by column name.
        columns: Which of them to take.
        id: Becomes the problem's id.
        source: Becomes the problem's source.

    Raises:
        RowError: A part is missing, the question is empty or not text, or the answer holds no gold that can be read.
    """
    question = _question(row, columns.question)
    if columns.context is not None:
        question = _with_context(_context(row, columns.context), question, columns.context)
    choices = _choices(row, columns.choices)
    listed = choices is not None and choices.are_in(question)
    if choices is not None and not listed:
        question = f"{question}\n\n{choices.lines()}"
    try:
        value = value_of(row, columns.answer)
        answer = read_gold(value) if choices is None or listed else read_choice(value, choices)
    except ProblemFieldError as error:
        raise RowError("answer_field", columns.answer, str(error)) from None
    except ProblemGoldError as error:
        text = f"{error} ({columns.answer!r}){_part_to_name(value, 'answer_field', columns.answer)}"
        raise RowError("answer_field", columns.answer, text, ProblemGoldError) from None
    labels = [str(row[name]).strip() for name in columns.kind if row.get(name) is not None]
    return Problem(question=question, answer=answer, id=id, source=source, kind="/".join(filter(None, labels)))


def with_bare_gold(problem: Problem, source: str) -> Problem:
    """A ready-made problem with its gold answer as `read_gold` reads it.

    Raises:
        ProblemGoldError: It can't be read.
    """
    try:
        answer = read_gold(problem.answer)
    except ProblemGoldError as error:
        raise ProblemGoldError(f"{problem.id} of {source}: {error}; fix the problem or remove it") from None
    return problem if answer == problem.answer else replace(problem, answer=answer)


def _question(row: Mapping[str, Any], column: str) -> str:
    value = unwrap(_value(row, column, "question_field"))
    if isinstance(value, str) and value.strip():
        return value.strip()
    text = f"the question ({column!r}) must be text and not empty, got {short(value)}"
    raise RowError("question_field", column, text + _part_to_name(value, "question_field", column))


def _context(row: Mapping[str, Any], column: str) -> str:
    value = unwrap(_value(row, column, "context_field"))
    if is_empty(value):
        return ""
    parts = value if isinstance(value, list | tuple) else [value]
    texts = [part.strip() for part in parts if isinstance(part, str)]
    if len(texts) < len(parts):
        raise RowError(
            "context_field",
            column,
            f"what comes before the question ({column!r}) must be text, got {short(value)}; name the column that has "
            "it with context_field='...', or leave it out with context_field=''",
        )
    return "\n\n".join(filter(None, texts))


def _with_context(context: str, question: str, column: str) -> str:
    if not context or context in question:
        return question
    if column.rpartition(".")[2].lower() != "body":
        return f"{context}\n\n{question}"
    # a body without punctuation at its end is the first half of a sentence
    return f"{context} {question}" if context[-1] in ".!?,;:" else f"{context}, {question}"


def _choices(row: Mapping[str, Any], columns: tuple[str, ...]) -> Choices | None:
    if not columns:
        return None
    name = columns[0]
    value = _value(row, name, "choices_field") if len(columns) == 1 else _by_letter(row, columns)
    try:
        return read_choices(value)
    except ProblemFieldError as error:
        text = f"{error} ({', '.join(columns)}); leave them out with choices_field=''"
        raise RowError("choices_field", name, text) from None


def _by_letter(row: Mapping[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    return {name[-1].upper(): row.get(name) for name in columns}


def _value(row: Mapping[str, Any], column: str, option: str) -> object:
    try:
        return value_of(row, column)
    except ProblemFieldError as error:
        raise RowError(option, column, str(error)) from None


def _part_to_name(value: object, option: str, column: str) -> str:
    """Which part of a nested column or a list to name; empty for other values."""
    value = unwrap(value)
    roles = message_roles(value) or message_roles([value])
    if roles:
        return f"; name a message of the chat, as in {option}='{column}.{roles[-1]}'"
    if isinstance(value, Mapping) and value:
        return f"; name one of its parts, as in {option}='{column}.{next(iter(value))}'"
    if isinstance(value, list | tuple) and value:
        return f"; name one of its {len(value)} elements, as in {option}='{column}.0'"
    if isinstance(value, datetime.date | datetime.time):
        return "; turn the column into text, or give the path of the file that it comes from, whose texts stay texts"
    return ""
