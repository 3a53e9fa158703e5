"""Reads the bare gold answer from the forms in which data sets give it: a number, a solution with its mark, a text."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from numbers import Integral, Rational, Real

from econ_env.answers.clean import closing
from econ_env.answers.marks import read_boxed
from econ_env.errors import ProblemGoldError

MAX_DIGITS = 400
"""Most digits before or after the point of a number written with an exponent; more could fill the memory."""

_NUMBER = re.compile(r"([+-]?)(\d+|[1-9]\d{0,2}(?:,\d{3})+)(?:\.(\d+))?")
_BOX = re.compile(r"\\(?:boxed|fbox|framebox)(?![a-zA-Z])")
_ANSWERS = re.compile(
    r"(?im)(?:^[ \t*_#>]*|[.!?]\s+)(?:(?:so|thus|hence|therefore),?[ \t]+)?(?:the[ \t]+)?(?:final[ \t]+|correct[ \t]+)?"
    r"(?:answer|ans\.?)[*_]*[ \t]*(?::|=|is\b:?)[ \t*_]*(\S[^\n]*?)(?=[.!?](?:\s|$)|$)"
)


Gold = str | int | float | Decimal | Fraction
"""A gold answer: a text or a number."""


def read_gold(value: object) -> str:
    r"""Read the bare gold answer from the value of an answer column, or from a gold that a user gives.

    The gold answer is the line after the last `####`. In it, or without this mark, it is the content of the last
    `\boxed{}` (of all boxes that are joined by a comma, `and` or `or`), else what follows `Answer:` or `The answer is`
    at the start of a line or sentence, else the whole text. Then a plain number loses its thousands separators, its
    plus sign, and its decimals if they are all zero: `2,125` becomes `2125`, `51.0` becomes `51`, `0.50` stays.
    Everything else (units, fractions, LaTeX, dates) stays as it is. `True` and `False` are texts.

    Args:
        value: A text, a number or a truth value.

    Raises:
        ProblemGoldError: The value is empty, is none of these, or has several lines without a mark.
    """
    if isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return plain_number(_written(value))
    if not value.strip():
        raise ProblemGoldError("the gold answer is empty")
    text, marked = value, False
    if "####" in text:
        text, marked = text.rpartition("####")[2].strip(), True
        if "\\begin{" not in text:
            text = text.partition("\n")[0]
    if "box" in text and _BOX.search(text):
        text, marked = _boxed(text), True
    elif "ans" in text.lower() and (lines := _ANSWERS.findall(text)):
        text, marked = lines[-1].rstrip(" \t.*_"), True
    text = text.strip()
    if not text:
        raise ProblemGoldError(f"no gold answer in {_short(value)}")
    if not marked and "\n" in text and "\\begin{" not in text:
        raise ProblemGoldError(
            f"the gold answer has several lines; mark it with '####' or \\boxed{{}}, got {_short(value)}"
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


def _written(value: object) -> str:
    """A number in digits; a fraction stays one."""
    if isinstance(value, Rational) and not isinstance(value, Integral):
        return str(Fraction(value))
    if not isinstance(value, Decimal | Real):
        raise ProblemGoldError(f"the gold answer must be text or a number, got {_short(value)}")
    if isinstance(value, Integral):
        return format(Decimal(int(value)), "f")
    number = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    if not number.is_finite():
        raise ProblemGoldError(f"the gold answer must be finite, got {value}")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and (number.adjusted() > MAX_DIGITS < exponent or exponent < -MAX_DIGITS):
        raise ProblemGoldError(f"the gold answer {_short(value)} has more than {MAX_DIGITS} digits when written out")
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _boxed(text: str) -> str:
    last = [*_BOX.finditer(text)][-1]
    rest = text[last.end() :].lstrip()
    if rest.startswith("{") and closing(rest, 0) < 0:
        raise ProblemGoldError(f"a \\boxed{{ is not closed in {_short(text)}")
    return read_boxed(text) or ""


def _short(value: object) -> str:
    """A value as an error message shows it: at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
