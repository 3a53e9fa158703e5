"""Reads other people's logs of replies as the columns of a bank: which column is which, and what its values are."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from econ_env.errors import BankError, ConfigError, ProblemFieldError, ProblemGoldError
from econ_env.problems.fields import has_column, is_empty, listed, short, suggestion, unwrap, value_of
from econ_env.problems.gold import read_gold
from econ_env.problems.tables import open_table
from econ_env.recorded.columns import ALIASES, CONTROLS, FACTS, TEXTS, WORKING

COLUMNS = (*FACTS, *TEXTS)
"""Columns that a bank may have."""
_WHOLE = ("sample", "tokens", "reply_chars", *WORKING)
_NUMBERS = (*CONTROLS, *_WHOLE, "mean_logprob")
_TRUTHS: Mapping[str, bool] = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

Columns = dict[str, list[Any]]
"""Values by column of a bank; all of one length, `None` where there is none."""


class Log(NamedTuple):
    """What was read of a log."""

    columns: Columns
    """The columns of a bank that it has."""
    names: list[str]
    """Names of its own columns, in the first row."""


@dataclass(frozen=True)
class Layout:
    """Which columns of a log are which of a bank."""

    names: Mapping[str, str] = field(default_factory=dict)
    """Name in the log, which may be dotted, by the bank's column; empty leaves the column out. Other columns have their
    own names."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Values that all rows have, by column."""

    def __post_init__(self) -> None:
        for column in (*self.names, *self.constants):
            if column not in COLUMNS:
                raise ConfigError(
                    f"a bank has no column {column!r}.{suggestion(column, COLUMNS)} It may have {', '.join(COLUMNS)}"
                )
        both = sorted(set(self.names) & set(self.constants))
        if both:
            raise ConfigError(f"the column {both[0]} is named and set: give one of them")

    def read(self, row: Mapping[str, Any], where: str, columns: Sequence[str] = COLUMNS) -> dict[str, Any]:
        """The values of a row by the bank's columns, without those that it does not have and those that are constant.

        Args:
            row: Values by the log's columns.
            where: The row, for messages.
            columns: Columns that are wanted.

        Raises:
            BankError: A value can't be read.
        """
        found: dict[str, Any] = {}
        for column in columns:
            name = "" if column in self.constants else self._name(column, row)
            if name and has_column(row, name):
                try:
                    found[column] = value_for(column, value_of(row, name), where)
                except ProblemFieldError as error:
                    raise BankError(f"{where}: {error}") from None
        return found

    def check(self, row: Mapping[str, Any], where: str) -> None:
        """Check that the log has the columns that are named.

        Raises:
            BankError: It lacks one.
        """
        for column, name in self.names.items():
            if name and not has_column(row, name):
                raise BankError(
                    f"{where} has no column {name!r} for {column}; it has {listed(list(row))}.{suggestion(name, row)}"
                )

    def _name(self, column: str, row: Mapping[str, Any]) -> str:
        if column in self.names:
            return self.names[column]
        return next((other for other in (column, *ALIASES.get(column, ())) if other in row), "")


def read_log(source: str, layout: Layout, models: Sequence[str] = ()) -> Log:
    """Read a log.

    Args:
        source: A file that `load_problems` reads, a folder with one table, or a set on the hub.
        layout: Which columns are which.
        models: Keep only the replies of these models; empty keeps all.

    Raises:
        ProblemSourceError: It does not exist or can't be read.
        BankError: A column is missing, a value can't be read, or a model is not in it.
    """
    columns: Columns = defaultdict(list)
    fixed = {name: value_for(name, value, "the set columns") for name, value in layout.constants.items()}
    seen: set[str] = set()
    names: list[str] = []
    rows = 0
    for number, row in enumerate(_rows(source)):
        if number == 0:
            layout.check(row, source)
            names = list(row)
        found = fixed | layout.read(row, f"row {number} of {source}")
        seen.add(found.get("model") or "")
        if models and found.get("model") not in models:
            continue
        for column in (*found, *(name for name in columns if name not in found)):
            values = columns[column]
            values += [None] * (rows - len(values))
            values.append(found.get(column))
        rows += 1
    missing = next((name for name in models if name not in seen), None)
    if missing is not None:
        there = listed(sorted(filter(None, seen))) or "no column model"
        raise BankError(f"{source} has no model {missing!r}.{suggestion(missing, seen)} It has {there}")
    known = {name: columns[name] for name in COLUMNS if any(value is not None for value in columns.get(name, ()))}
    return Log(known, names)


def check_log(log: Log, source: str, *, joined: bool) -> None:
    """Check that a log has what a bank needs.

    Args:
        log: What was read.
        source: The log, for messages.
        joined: Whether golds may come from another file.

    Raises:
        BankError: Columns are missing; the message says how to give them.
    """
    needed = ["problem", *([] if joined else ["gold"]), *([] if "reply" in log.columns else ["answer"])]
    missing = [name for name in needed if name not in log.columns]
    if missing:
        plural = "columns" if len(missing) > 1 else "column"
        golds = ", or golds with --questions FILE" if "gold" in missing else ""
        raise BankError(
            f"{source} has no {plural} {' and '.join(missing)}: name them with --column {missing[0]}=NAME{golds}; it "
            f"has {listed(log.names)}"
        )


def join_questions(columns: Columns, source: str) -> None:
    """Add questions and golds that a log lacks, from a file that has them by problem.

    Args:
        columns: The log's columns; changed.
        source: A file with the columns `problem`, and `question`, `gold` or both; with `exam` if the log has one.

    Raises:
        ProblemSourceError: The file does not exist or can't be read.
        BankError: A column is missing, or a problem is not in it.
    """
    wanted = [name for name in ("question", "gold") if name not in columns]
    keys = ["exam", "problem"] if "exam" in columns else ["problem"]
    known: dict[tuple[str, ...], dict[str, Any]] = {}
    for number, row in enumerate(_rows(source)):
        where = f"row {number} of {source}"
        found = Layout().read(row, where, (*keys, *wanted))
        lacking = [name for name in keys if found.get(name) is None]
        if lacking or not found.keys() & set(wanted):
            needed = lacking[0] if lacking else " and no ".join(wanted) or "question that is not known"
            raise BankError(f"{where} has no {needed}; it has {listed(list(row))}")
        known[tuple(found[name] for name in keys)] = found
    places = list(zip(*(columns[name] for name in keys), strict=True))
    lost = next((place for place in places if place not in known), None)
    if lost is not None:
        raise BankError(f"{source} has no problem {'/'.join(map(str, lost))}, which the log has")
    for name in wanted:
        values = [known[place].get(name) for place in places]
        if any(value is not None for value in values):
            columns[name] = values


def _rows(source: str) -> Iterator[Mapping[str, Any]]:
    for number, row in enumerate(open_table(source, None, None, streaming=True)):
        if not isinstance(row, Mapping):
            raise BankError(f"row {number} of {source} is a problem, and no reply")
        yield row


def value_for(column: str, value: object, where: str) -> Any:
    """A value as a column of a bank keeps it; `None` for one that says nothing.

    Raises:
        BankError: It can't be read.
    """
    value = unwrap(value)
    if is_empty(value) or (isinstance(value, float) and math.isnan(value)):
        return None
    read: Callable[[object], Any] = _number if column in _NUMBERS else _truth if column == "correct" else _text
    try:
        if column == "gold":
            return read_gold(value)
        found = read(value)
        return int(found) if column in _WHOLE else found
    except ProblemGoldError as error:
        raise BankError(f"{where}: {error}") from None
    except (ValueError, TypeError):
        needed = "a number" if read is _number else "true or false" if read is _truth else "text or a number"
        hint = f"; name a part of it, as {column}=NAME.PART" if isinstance(value, list | tuple | Mapping) else ""
        raise BankError(f"{where}: {column} must be {needed}, got {short(value)}{hint}") from None


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _truth(value: object) -> bool:
    found = _TRUTHS.get(_text(value).strip().lower())
    if found is None:
        raise ValueError
    return found


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return read_gold(value)  # numbers as golds have them: 51.0 is 51
    except ProblemGoldError:
        raise ValueError from None
