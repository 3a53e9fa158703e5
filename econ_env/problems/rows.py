"""Makes a `Problem` from one row of a data set: chooses its columns and reads the gold answer."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from econ_env.errors import ProblemFieldError, ProblemGoldError
from econ_env.records import Problem

QUESTION_NAMES = ("question", "problem", "prompt", "query", "instruction", "input")
"""Columns to suggest when the question's column is missing, most likely first."""

ANSWER_NAMES = ("answer", "final_answer", "gold", "target", "solution", "expected_answer", "label", "output")
"""The same for the answer's column."""

_NUMBER = re.compile(r"([+-]?)(\d+|\d{1,3}(?:,\d{3})+)(?:\.(\d+))?")


@dataclass(frozen=True)
class Columns:
    """The columns of a table that make a problem."""

    question: tuple[str, ...]
    """Joined in this order to the question's text."""
    answer: str
    """Holds the gold, alone or at the end of a solution."""
    kind: tuple[str, ...]
    """Joined by `/` to the problem's label; empty if the table has none."""


def choose_columns(
    columns: Collection[str], question_field: str | None, answer_field: str | None, *, where: str
) -> Columns:
    """Decide which columns to read.

    A given field must exist. The defaults are `question` and `answer`. In a table with SVAMP's columns `Body`,
    `Question` and `Answer`, the default question is body plus question. The kind is the column `kind` if it exists,
    else those of subject, type and level that exist (upper or lower case).

    Args:
        columns: The table's column names.
        question_field: Column of the question, or `None` for the rule above.
        answer_field: Column of the answer, or `None` for the rule above.
        where: The table's name, for the error.

    Raises:
        ProblemFieldError: A field is missing; the message lists the existing ones.
    """
    svamp = {"Body", "Question", "Answer"} <= set(columns)
    if question_field is None and svamp:
        question: tuple[str, ...] = ("Body", "Question")
    else:
        question = (_existing(question_field or "question", columns, "question_field", QUESTION_NAMES, where),)
    if answer_field is None and svamp:
        answer = "Answer"
    else:
        answer = _existing(answer_field or "answer", columns, "answer_field", ANSWER_NAMES, where)
    by_lower = {column.lower(): column for column in columns}
    wanted = ("kind",) if "kind" in by_lower else ("subject", "type", "level")
    return Columns(question, answer, tuple(by_lower[name] for name in wanted if name in by_lower))


def to_problem(row: Mapping[str, Any], columns: Columns, *, id: str, source: str) -> Problem:
    """Make one problem from a row.

    Args:
        row: Values by column name.
        columns: Which of them to take.
        id: Becomes the problem's id and names the row in errors.
        source: Becomes the problem's source.

    Raises:
        ProblemFieldError: The row lacks a column, or its question is empty or not text.
        ProblemGoldError: Its answer holds no gold that can be read.
    """
    where = f"{id} of {source}"
    missing = [name for name in (*columns.question, columns.answer) if name not in row]
    if missing:
        raise ProblemFieldError(f"{where} has no field {missing[0]!r}; it has: {', '.join(row)}")
    parts = [row[name] for name in columns.question]
    for name, part in zip(columns.question, parts, strict=True):
        if not isinstance(part, str) or not part.strip():
            raise ProblemFieldError(
                f"{where}: the question ({name!r}) must be text and not empty, got {_short(part)}; "
                "fix the row or remove it"
            )
    try:
        answer = read_gold(row[columns.answer])
    except ProblemGoldError as error:
        raise ProblemGoldError(f"{where}: {error} ({columns.answer!r}); fix the row or remove it") from None
    labels = [str(row[name]).strip() for name in columns.kind if row.get(name) is not None]
    return Problem(question=_join(parts), answer=answer, id=id, source=source, kind="/".join(filter(None, labels)))


def read_gold(value: object) -> str:
    r"""Read the bare gold answer from the value of an answer column.

    The gold answer is the text after the last `####`, or the whole text without this mark. If that text has a
    `\boxed{}`, it is the content of the last one. Then a plain number loses its thousands separators, its plus sign,
    and its decimals if they are all zero: `2,125` becomes `2125`, `51.0` becomes `51`, `0.50` stays. Everything else
    (units, fractions, LaTeX) stays as it is.

    Args:
        value: A text or a number.

    Raises:
        ProblemGoldError: The value is empty, is neither text nor number, or has several lines without a mark.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ProblemGoldError(f"the gold answer must be text or a number, got {_short(value)}")
    if not isinstance(value, str):
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        if not number.is_finite():
            raise ProblemGoldError(f"the gold answer must be finite, got {value}")
        return _plain_number(format(number, "f"))
    text = value.rpartition("####")[2]
    if "\\boxed{" in text:
        text = _last_boxed(text)
    marked, text = text != value, text.strip()
    if not text:
        raise ProblemGoldError(f"no gold answer in {_short(value)}")
    if not marked and "\n" in text and "\\begin{" not in text:
        raise ProblemGoldError(
            f"the gold answer has several lines; mark it with '####' or \\boxed{{}}, got {_short(value)}"
        )
    return _plain_number(text)


def suggestion(word: str, known: Collection[str]) -> str:
    """A sentence that names the known word closest to a mistyped one; empty if none is close."""
    close = difflib.get_close_matches(word.lower(), [name.lower() for name in known], n=1, cutoff=0.75)
    return next((f" Did you mean {name!r}?" for name in known if close and name.lower() == close[0]), "")


def _existing(field: str, columns: Collection[str], option: str, usual: tuple[str, ...], where: str) -> str:
    if field in columns:
        return field
    hint = suggestion(field, columns)
    if not hint:
        by_lower = {column.lower(): column for column in columns}
        likely = next((by_lower[name] for name in usual if name in by_lower), "...")
        flag = f"--{option.replace('_', '-')}"
        hint = f" Say which one it is with {option}={likely!r}, on the command line {flag} {likely}."
    raise ProblemFieldError(f"{where} has no field {field!r}; it has: {', '.join(columns)}.{hint}")


def _join(parts: list[str]) -> str:
    """Join texts; a part without punctuation at its end is the first half of a sentence, so it gets a comma."""
    texts = [part.strip() for part in parts]
    return " ".join([*(text if text[-1] in ".!?,;:" else f"{text}," for text in texts[:-1]), texts[-1]])


def _plain_number(text: str) -> str:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    sign, whole, decimals = match[1], match[2].replace(",", ""), match[3] or ""
    number = f"{whole}.{decimals}" if decimals.strip("0") else whole
    return f"-{number}" if sign == "-" and number.strip("0") else number


def _last_boxed(text: str) -> str:
    start = text.rindex("\\boxed{") + len("\\boxed{")
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[start:position]
    raise ProblemGoldError(f"a \\boxed{{ is not closed in {_short(text)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
