"""Reads the bare gold answer from the value of an answer column."""

from __future__ import annotations

import re
from decimal import Decimal

from econ_env.errors import ProblemGoldError
from econ_env.problems.fields import short, unwrap

MAX_DIGITS = 400
"""Most digits before or after the point of a number written with an exponent; more could fill the memory."""

_NUMBER = re.compile(r"([+-]?)(\d+|\d{1,3}(?:,\d{3})+)(?:\.(\d+))?")


def read_gold(value: object) -> str:
    r"""Read the bare gold answer from the value of an answer column.

    The gold answer is the text after the last `####`, or the whole text without this mark. If that text has a
    `\boxed{}`, it is the content of the last one. Then a plain number loses its thousands separators, its plus sign,
    and its decimals if they are all zero: `2,125` becomes `2125`, `51.0` becomes `51`, `0.50` stays. Everything else
    (units, fractions, LaTeX, dates) stays as it is. `True` and `False` are texts; a list of one element is its element.

    Args:
        value: A text, a number, a truth value, or a list of one of them.

    Raises:
        ProblemGoldError: The value is empty, is none of these, or has several lines without a mark.
    """
    value = unwrap(value)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float | Decimal):
        return _number(value)
    if not isinstance(value, str):
        raise ProblemGoldError(f"the gold answer must be text or a number, got {short(value)}")
    text = value.rpartition("####")[2]
    if "\\boxed{" in text:
        text = _last_boxed(text)
    marked, text = text != value, text.strip()
    if not text:
        raise ProblemGoldError(f"no gold answer in {short(value)}")
    if not marked and "\n" in text and "\\begin{" not in text:
        raise ProblemGoldError(
            f"the gold answer has several lines; mark it with '####' or \\boxed{{}}, got {short(value)}"
        )
    return plain_number(text)


def plain_number(text: str) -> str:
    """A number without thousands separators, plus sign and zero decimals; any other text as it is."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    sign, whole, decimals = match[1], match[2].replace(",", ""), match[3] or ""
    number = f"{whole}.{decimals}" if decimals.strip("0") else whole
    return f"-{number}" if sign == "-" and number.strip("0") else number


def _number(value: int | float | Decimal) -> str:
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise ProblemGoldError(f"the gold answer must be finite, got {value}")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and (number.adjusted() > MAX_DIGITS < exponent or exponent < -MAX_DIGITS):
        raise ProblemGoldError(f"the gold answer {short(value)} has more than {MAX_DIGITS} digits when written out")
    text = format(number, "f")
    return plain_number(text.rstrip("0").rstrip(".") if "." in text else text)


def _last_boxed(text: str) -> str:
    start = text.rindex("\\boxed{") + len("\\boxed{")
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[start:position]
    raise ProblemGoldError(f"a \\boxed{{ is not closed in {short(text)}")
