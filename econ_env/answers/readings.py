"""Other readings of the text of an answer: with a decimal comma, without what is said about it, only its last side."""

from __future__ import annotations

import re

from econ_env.answers.clean import clean
from econ_env.answers.exact import read_number

_DECIMAL_COMMA = re.compile(
    r"(?P<before>[^\d,]*)(?P<whole>\d{1,3}(?:\.\d{3})+|\d{1,3}(?: \d{3})+|\d{1,3}(?:'\d{3})+|\d+)"
    r"(?:,|\{,\})(?P<places>\d+)(?P<after>[^\d,]*)"
)
_CONDITION = re.compile(
    r"(?P<head>[^,]*[^,\s]),?\s*"
    r"(?:(?:for (?:all|any|every|each)|because|since|which)\b(?P<rest>.*)"
    r"|of (?:the|an?|all|her|his|their|its)\b[A-Za-z ]*"
    r"|\(?(?:where |with |for )?[a-zA-Z]\s*\\in\s*\\mathbb\s*\{?[ZNRQC]\}?(?:\^\S+)?\)?)"
)
_LABEL = re.compile(
    r"(?!(?i:.*\b(?:not|no|wrong|incorrect|except|without)\b))[A-Za-z][A-Za-z ]*[a-z]{2}\s?:\s*(?=[^\s:])"
)
_CONDITION_HINT = re.compile(r"\bfor\b|\\in(?![a-z])|\b(?:because|since|which|of)\b|[a-z]{2} ?\}?:")
_CASES = re.compile(r"[,;]|\b(?:even|odd|prime|or|and|otherwise|else|if|when|but|except|for)\b")
_UNDECIDED = re.compile(
    r"(?i)[,;<>]|\\(?:ne|le|ge|approx|pm)(?![a-z])|\b(?:or|and|not|either|maybe|perhaps|possibly)\b"
)


def with_decimal_point(text: str, *, lone_zero: bool = False) -> str | None:
    """An answer with its decimal comma as a point: `106.12 $` for `106,12 $`; `None` if it has no such comma.

    A comma before three digits separates thousands, unless only zero or grouped digits stand before it. A bare `3,0`
    may be two answers, so it has a decimal comma only with `lone_zero`.
    """
    match = _DECIMAL_COMMA.fullmatch(text) if text.count(",") == 1 else None
    if match is None:
        return None
    if match["places"] == "0" and not lone_zero and not (match["before"] + match["after"]).strip(" $"):
        return None
    whole = re.sub(r"[. '](?=\d{3})", "", match["whole"])
    if len(match["places"]) == 3 and whole == match["whole"] and whole != "0":
        return None
    return f"{match['before']}{whole}.{match['places']}{match['after']}"


def bare_answer(text: str) -> str:
    r"""An answer without a label, a reason, a whole that it is part of, or a condition that restricts nothing.

    `n^2` for `n^{2} \text{ for all } n`, 18 for `Total: 18`, 3/4 for `3/4 of the pizza`; other answers as they are.
    """
    if not _CONDITION_HINT.search(text):
        return text
    plain = _LABEL.sub("", clean(text), count=1)
    match = _CONDITION.fullmatch(plain)
    return match["head"] if match and not _CASES.search(match["rest"] or "") else plain


def last_side(text: str) -> str | None:
    """The last side of an equation, if that is a number: `38` of `24x - 14y = 38`. `None` for several candidates."""
    if "=" not in text and "equal" not in text:
        return None
    before, equals, side = clean(text).rpartition("=")
    if not equals or _UNDECIDED.search(before) or not _is_number_or_ratio(side.strip()):
        return None
    return side.strip()


def _is_number_or_ratio(text: str) -> bool:
    return read_number(text) is not None or re.fullmatch(r"\d+(?: ?: ?\d+)+", text) is not None
