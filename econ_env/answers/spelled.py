"""Reads numbers in English words: `one hundred and five`, `nine point eight`, `two thirds`, `twelfth`."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL = {word: n for n, word in enumerate(_ONES)} | {word: 20 + 10 * n for n, word in enumerate(_TENS)}
_POWERS = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
    "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12, "hundredth": 100, "thousandth": 1000,
}  # fmt: skip
_PARTS |= {f"{word}s": n for word, n in _PARTS.items() if word not in ("half", "halves")}
_IRREGULAR = {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12}
_ORDINALS = (
    {f"{word}th": n for n, word in enumerate(_ONES)}
    | {f"{word[:-1]}ieth": 20 + 10 * n for n, word in enumerate(_TENS)}
    | {"hundredth": 100, "thousandth": 1000}
    | _IRREGULAR
)
_FIRST = {*_SMALL, *_ORDINALS, "a", "an", "half", "minus", "negative", "the", "dozen"}
_WORD = re.compile(r"[A-Za-z]+")
_GAP = re.compile(r"[ -]")
_LONGEST = 20


def spelled_in_digits(text: str) -> str | None:
    """A text that begins with a number in words, with this number in digits: `9.8 km` for `nine point eight km`.

    Args:
        text: An answer as `clean` gives it.

    Returns:
        The text; `None` if it begins with no such number. A fraction is written `2/3`, a mixed number `3 1/2`.
    """
    first = _WORD.match(text)
    if first is None or first[0].lower() not in _FIRST:
        return None
    words, ends = _words(text)
    start = 1 if words[0] in ("minus", "negative", "the") else 0
    sign = "-" if start and words[0] != "the" else ""
    found = _read(words[start:], alone=words[0] == "the" or start == 0, the=words[0] == "the")
    if found is None:
        return None
    digits, used = found
    used += start
    rest = text[ends[used - 1] :]
    if used < len(words) and (words[used] in _SMALL or words[used] in ("hundred", "thousand", "point")):
        return None  # `one two` is no number
    return f"{sign}{digits}{rest}"


def _words(text: str) -> tuple[list[str], list[int]]:
    """The words at the beginning, in lower case, and where each ends."""
    words: list[str] = []
    ends: list[int] = []
    place = 0
    while len(words) < _LONGEST and (match := _WORD.match(text, place)):
        words.append(match[0].lower())
        ends.append(match.end())
        place = match.end()
        if not _GAP.match(text, place):
            break
        place += 1
    return words, ends


def _read(words: Sequence[str], *, alone: bool, the: bool) -> tuple[str, int] | None:
    """The number in digits, and how many words it takes."""
    if alone and 0 < len(words) <= 2 and (ordinal := _ordinal(words)):
        return str(ordinal), len(words)
    if the and len(words) == 2 and words[1] not in _PARTS and (ordinal := _ordinal(words[:1])):
        return str(ordinal), 1  # the third day
    if words[:1] == ["half"]:
        return "1/2", 2 if words[1:2] in (["a"], ["an"]) else 1
    if words[:1] == ["dozen"]:
        return None
    article = words[:1] in (["a"], ["an"])
    value, used = (1, 1) if article else _below_hundred(words)
    if used == 0:
        return None
    if (part := _part(words, used)) and value < 100:
        return f"{value}/{part}", used + 1
    if words[used : used + 1] == ["dozen"]:
        return ("12", used + 1) if article else (str(value), used)  # `two dozen` is read like `2 dozen`
    if article and words[used : used + 1] not in (["hundred"], *([name] for name in _POWERS)):
        return None
    if _is_scaled(words[used:]):
        return str(value), used  # `five million` is read like `5 million`
    value, used = _whole(words)
    if words[used : used + 1] == ["point"]:
        return _decimal(words, used, value)
    if words[used : used + 1] == ["and"] and (mixed := _fraction(words, used + 1)):
        return f"{value} {mixed[0]}", mixed[1]
    return str(value), used


def _is_scaled(words: Sequence[str]) -> bool:
    """Whether these words are a scale and perhaps a unit, but no further part of a number."""
    scale, further = "".join(words[:1]), "".join(words[1:2])
    return _POWERS.get(scale, 0) >= 10**6 and further not in _SMALL and further not in ("and", "hundred", *_POWERS)


def _whole(words: Sequence[str]) -> tuple[int, int]:
    """A whole number below a quadrillion, and how many words it takes."""
    total, used, limit = 0, 0, 10**15
    while used < len(words):
        start = used + (total > 0 and words[used] == "and")
        value, more = _below_thousand(words[start:])
        if more == 0:
            break
        end = start + more
        power = _POWERS.get(words[end], 1) if end < len(words) else 1
        if power >= limit or (start > used and power > 1):
            break
        total, used, limit = total + value * power, end + (power > 1), power
        if power == 1:
            break
    return total, used


def _below_thousand(words: Sequence[str]) -> tuple[int, int]:
    value, used = (1, 1) if words[:1] in (["a"], ["an"]) else _below_hundred(words)
    if used == 0 or words[used : used + 1] != ["hundred"]:
        return value, used
    value, used = value * 100, used + 1
    start = used + (words[used : used + 1] == ["and"])
    rest, more = _below_hundred(words[start:])
    if more == 0 or _part(words, start + more):
        return value, used
    return value + rest, start + more


def _below_hundred(words: Sequence[str]) -> tuple[int, int]:
    """A number below a hundred, and how many words it takes: 0 if there is none."""
    if not words or words[0] not in _SMALL:
        return 0, 0
    value = _SMALL[words[0]]
    if value >= 20 and len(words) > 1 and 0 < _SMALL.get(words[1], 0) < 10:
        return value + _SMALL[words[1]], 2
    return value, 1


def _decimal(words: Sequence[str], point: int, whole: int) -> tuple[str, int] | None:
    end = point + 1
    digits = ""
    while end < len(words) and (words[end] == "oh" or _SMALL.get(words[end], 10) < 10):
        digits += str(_SMALL.get(words[end], 0))
        end += 1
    return (f"{whole}.{digits}", end) if digits else None


def _fraction(words: Sequence[str], start: int) -> tuple[str, int] | None:
    """A fraction such as `a half` or `three quarters`, and where it ends."""
    top, used = (1, 1) if words[start : start + 1] in (["a"], ["an"]) else _below_hundred(words[start:])
    part = _part(words, start + used) if used else 0
    return (f"{top}/{part}", start + used + 1) if part else None


def _part(words: Sequence[str], place: int) -> int:
    """The denominator that this word names, 0 if none."""
    return _PARTS.get(words[place], 0) if place < len(words) else 0


def _ordinal(words: Sequence[str]) -> int:
    """The place that all these words name, such as 21 for `twenty first`; 0 if none."""
    if len(words) == 1:
        return _ORDINALS.get(words[0], 0)
    tens, ones = _SMALL.get(words[0], 0), _ORDINALS.get(words[1], 0)
    return tens + ones if tens >= 20 and 0 < ones < 10 else 0
