"""Reads dates, which look like fractions or sums: `02/20/1966`, `1966-02-20`, `February 20, 1966`."""

from __future__ import annotations

import re

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_MONTH = r"(?P<month>[A-Za-z]{3,9})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_NUMERIC = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|(?<=\d\d/\d\d/)\d\d)")
_YEAR_FIRST = re.compile(r"(\d{4})([/.-])(\d{2})\2(\d{2})")
_NAMED = (
    re.compile(rf"(?:[A-Za-z]+day,? )?{_MONTH} (?:the )?{_DAY},? (?P<year>\d{{4}})"),
    re.compile(rf"(?:[A-Za-z]+day,? )?(?:the )?{_DAY} (?:of )?{_MONTH},? (?P<year>\d{{4}})"),
)


def read_date(text: str) -> tuple[int, int, int] | None:
    """Read a cleaned text that is one date.

    Of a numeric date whose order is not known, the month comes first. Two digits of a year stay two digits.

    Args:
        text: An answer as `clean` gives it.

    Returns:
        Year, month and day; `None` if the text is anything else.
    """
    if not any(char.isdigit() for char in text[:24]):
        return None
    if match := _NUMERIC.fullmatch(text):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        return _valid(year, second, first) if first > 12 else _valid(year, first, second)
    if match := _YEAR_FIRST.fullmatch(text):
        return _valid(int(match[1]), int(match[3]), int(match[4]))
    for pattern in _NAMED:
        if match := pattern.fullmatch(text):
            return _valid(int(match["year"]), _month(match["month"]), int(match["day"]))
    return None


def _month(name: str) -> int:
    """The number of a month by its name or the beginning of it; 0 if there is none."""
    found = [number for number, month in enumerate(_MONTHS, start=1) if month.startswith(name.lower())]
    return found[0] if len(found) == 1 or name.lower() == "may" else 0


def _valid(year: int, month: int, day: int) -> tuple[int, int, int] | None:
    return (year, month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None
