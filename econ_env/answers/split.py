"""Splits the text of an answer at its top level, outside all brackets."""

from __future__ import annotations

import re
from collections.abc import Iterator

_CONNECTIVE = re.compile(r"(?:\\cup(?![a-zA-Z])|(?<![A-Za-z])(?:or|and)(?![A-Za-z]))")


def items(text: str) -> Iterator[str]:
    """Parts between top-level commas, semicolons, `or`, `and`, union signs."""
    level, start, place = 0, 0, 0
    while place < len(text):
        char = text[place]
        if char in "([{":
            level += 1
        elif char in ")]}":
            level -= 1
        elif level <= 0 and char in ",;":
            if _inside_thousands(text, start, place):
                place += 1
                continue
            yield text[start:place].strip()
            start = place + 1
        elif level <= 0 and char in "\\oa" and (match := _CONNECTIVE.match(text, place)):
            yield text[start:place].strip()
            start = place = match.end()
            continue
        place += 1
    yield text[start:].strip()


def _inside_thousands(text: str, start: int, place: int) -> bool:
    """Whether this comma separates thousands: yes in `1,000, 2,000` and `costs 1,000`, no in `100,200,45`."""
    before = re.search(r"(?<![\d.])\d{1,3}(?:,\d{3})*$", text[start:place])
    return (
        before is not None
        and re.match(r",\d{3}(?!\d)", text[place:]) is not None
        and re.search(r", |[A-Za-z]", text) is not None
    )


def comma_parts(text: str) -> list[str]:
    """Parts between top-level commas; inside brackets a comma always separates."""
    parts, level, start = [], 0, 0
    for place, char in enumerate(text):
        if char in "([{":
            level += 1
        elif char in ")]}":
            level -= 1
        elif char in ",;" and level == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]


def encloses(text: str) -> bool:
    """Whether the first bracket is closed by the last character and not before; `(` may be closed by `]`."""
    level = 0
    for place, char in enumerate(text):
        if char in "([{":
            level += 1
        elif char in ")]}":
            level -= 1
            if level <= 0:
                return place == len(text) - 1
    return False
