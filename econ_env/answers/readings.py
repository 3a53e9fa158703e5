"""Other readings of the text of an answer: with a decimal comma, without its condition, only its last side."""

from __future__ import annotations

import re

from econ_env.answers.clean import clean
from econ_env.answers.exact import read_number

_DECIMAL_COMMA = re.compile(
    r"(?P<before>[^\d,]*)(?P<whole>\d{1,3}(?:\.\d{3})+|\d{1,3}(?: \d{3})+|\d{1,3}(?:'\d{3})+|\d+)"
    r"(?:,|\{,\})(?P<places>\d+)(?P<after>[^\d,]*)"
)
_CONDITION = re.compile(
    r"(?P<head>[^,]*[^,\s]),?\s*(?:for (?:all|any|every|each)\b(?P<rest>.*)"
    r"|\(?(?:where |with |for )?[a-zA-Z]\s*\\in\s*\\mathbb\s*\{?[ZNRQC]\}?(?:\^\S+)?\)?)"
)
_CASES = re.compile(r"[,;]|\b(?:even|odd|prime|or|and|otherwise|else|if|when|but|except|for)\b")
_UNDECIDED = re.compile(
    r"(?i)[,;<>]|\\(?:ne|le|ge|approx|pm)(?![a-z])|\b(?:or|and|not|either|maybe|perhaps|possibly)\b"
)


def with_decimal_point(text: str) -> str | None:
    """An answer with its decimal comma as a point: `106.12 $` for `106,12 $`; `None` if it has no such comma.

    A comma before three digits separates thousands, unless only zero or grouped digits stand before it.
    """
    match = _DECIMAL_COMMA.fullmatch(text) if text.count(",") == 1 else None
    if match is None:
        return None
    whole = re.sub(r"[. '](?=\d{3})", "", match["whole"])
    if len(match["places"]) == 3 and whole == match["whole"] and whole != "0":
        return None
    return f"{match['before']}{whole}.{match['places']}{match['after']}"


def without_condition(text: str) -> str:
    r"""An answer without a condition that restricts nothing: `n^2` for `n^{2} \text{ for all } n`; else as it is."""
    if "for" not in text and r"\in" not in text:
        return text
    plain = clean(text)
    match = _CONDITION.fullmatch(plain)
    return match["head"] if match and not _CASES.search(match["rest"] or "") else text


def last_side(text: str) -> str | None:
    """The last side of an equation, if that is a number: `38` of `24x - 14y = 38`. `None` for several candidates."""
    if "=" not in text and "equal" not in text:
        return None
    before, equals, side = clean(text).rpartition("=")
    if not equals or _UNDECIDED.search(before) or read_number(side.strip()) is None:
        return None
    return side.strip()
