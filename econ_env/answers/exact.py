"""Reads numbers as exact rationals, and decides whether two written numbers are the same.

The rule, in full:

* Whole numbers, fractions, mixed numbers and decimals are exact: equal only if their rationals are equal.
* A number without a finite decimal (1/3, the square root of 2) may also be given as a decimal that is right to its
  last place, rounded or truncated, if it has at least 6 significant digits: 0.333333 is 1/3, 0.33 is not.
* A decimal of 15 or more significant digits is a printed float and may be off by a relative 1e-12.
* A percent sign on one side only: 12% equals 12. It also equals 0.12, unless the plain number is whole: 500% is not 5.
* A scale word on one side only is multiplied out or taken as a unit: 4 million equals 4000000, and also equals 4.
* Units are not converted. Two known units must be equal, apart from powers. A unit on one side only and any other noun
  are ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from econ_env.answers.spelled import spelled_in_digits
from econ_env.answers.units import read_suffix

ROUNDED_DIGITS = 6
"""Significant digits from which a decimal may stand for a number without a finite decimal."""

FLOAT_DIGITS = 15
"""Significant digits from which a decimal counts as a printed float."""

FLOAT_NOISE = Fraction(1, 10**12)
"""Relative error allowed for a printed float."""

MAX_DIGITS = 300
"""Longer numbers and larger powers of ten are compared as text."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written."""

    value: Fraction
    """Its exact value; for an irrational one, its first 40 digits."""
    digits: int = 0
    """Significant digits if written as a decimal, else 0."""
    step: Fraction = Fraction(0)
    """One unit in the last place of a decimal, else 0."""
    percent: bool = False
    """Whether a percent sign followed; `value` is the number before it."""
    unit: str = ""
    """Name of a known unit."""
    scale: int = 1
    """Factor of a scale word, such as 1000000 for `million`; not part of `value`."""
    irrational: bool = False
    """Whether `value` is only an approximation."""


_DIGITS = (
    r"(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d{0,2}(?:\.\d{3}){2,}(?![.\d])"
    r"|\d{1,3}(?:[ ]\d{3})+(?!\d)|\d{1,3}(?:'\d{3})+|\d{1,3}(?:_\d{3})+|\d+)"
)
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d*)?|\.\d+)"
_CURRENCY = r"(?:(?:US|CA|AU?|HK)?[$]|[€£¥₹]|(?i:usd|eur|gbp|inr|rs\.?)\s)"
_NUMBER = re.compile(
    rf"""
    (?P<sign>(?:[-+]|(?i:negative|minus)\s)?)\s*{_CURRENCY}?\s*(?P<sign2>[-+]?)\s*
    (?:
        (?P<whole>\d+)(?:\s*\\frac\{{(?P<n1>\d+)\}}\{{(?P<d1>\d+)\}}|(?:[ ]|[ ]and[ ]|-)(?P<n2>\d+)\s?/\s?(?P<d2>\d+))
      | \\frac\{{\s*(?P<n3>[-+]?{_DECIMAL})\s*\}}\{{\s*(?P<d3>[-+]?{_DECIMAL})\s*\}}
      | (?P<head>\d+\.\d*)\\(?:overline|bar)\{{(?P<cycle>\d+)\}}
      | 10\s*\^\s*(?:\{{(?P<p1>[-+]?\d+)\}}|(?P<p2>\d+))
      | (?P<n4>{_DECIMAL})(?:\s?/\s?(?P<d4>{_DECIMAL}))?
        (?:[eE](?P<e1>[-+]?\d+)|\s*(?:\\cdot|x)\s*10\s*\^\s*(?:\{{\s*(?P<e2>[-+]?\s?\d+)\s*\}}|(?P<e3>[-+]?\d+)))?
    )
    (?![\d.^_]|,\d)(?P<rest>.*)
    """,
    re.VERBOSE,
)
_PLAIN = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?")


def read_plain(text: str) -> Number | None:
    """Read a text that is nothing but digits, perhaps with a sign and a point; `None` for all others."""
    return _decimal(text, 0) if _PLAIN.fullmatch(text) else None


def read_number(text: str) -> Number | None:
    """Read a cleaned text that is one number, in digits or words, perhaps with a currency sign or a unit.

    Args:
        text: An answer as `clean` gives it.

    Returns:
        The number, or `None` if the text is anything else.
    """
    if number := read_plain(text):
        return number
    if text[:1].isalpha():
        text = spelled_in_digits(text) or text
    if len(text) > MAX_DIGITS:
        return None
    match = _NUMBER.fullmatch(text)
    if match is None or (suffix := read_suffix(match["rest"])) is None:
        return None
    number = _magnitude(match)
    if number is None or (match["sign"] and match["sign2"]):
        return None
    sign = -1 if match["sign"].strip().lower() in ("-", "negative", "minus") else 1
    if match["sign2"] == "-":
        sign = -sign
    value = number.value * sign
    return replace(number, value=value, percent=suffix.percent, unit=suffix.unit, scale=suffix.scale)


def same_number(a: Number, b: Number) -> bool:
    """Whether two written numbers are the same by the rule at the top of this file."""
    if a.unit and b.unit and a.unit != b.unit:
        return False
    if a.scale != b.scale:
        return _close(_times(a, a.scale), _times(b, b.scale)) or (1 in (a.scale, b.scale) and _close(a, b))
    if a.percent == b.percent:
        return _close(a, b)
    percent, plain = (a, b) if a.percent else (b, a)
    if _close(percent, plain):
        return True
    return plain.value.denominator != 1 and _close(_times(percent, Fraction(1, 100)), plain)


def _times(number: Number, factor: Fraction | int) -> Number:
    return replace(number, value=number.value * factor, step=number.step * factor)


def _close(a: Number, b: Number) -> bool:
    if a.irrational or b.irrational:
        return _stands_for(a, b) or _stands_for(b, a)
    if a.value == b.value:
        return True
    if max(a.digits, b.digits) >= FLOAT_DIGITS:
        return abs(a.value - b.value) <= FLOAT_NOISE * max(abs(a.value), abs(b.value))
    return _stands_for(a, b) or _stands_for(b, a)


def _stands_for(decimal: Number, endless: Number) -> bool:
    """Whether a decimal is right to its last place for a number that has no finite decimal."""
    if decimal.digits < ROUNDED_DIGITS or decimal.irrational or not _has_no_finite_decimal(endless):
        return False
    return abs(decimal.value - endless.value) < decimal.step


def _has_no_finite_decimal(number: Number) -> bool:
    if number.irrational:
        return True
    rest = number.value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest != 1


def _magnitude(match: re.Match[str]) -> Number | None:
    """The unsigned number that matched; `None` for a zero denominator or a power that is too large."""
    part = match.groupdict()
    if part["whole"]:
        fraction = _ratio(_decimal(part["n1"] or part["n2"], 0), _decimal(part["d1"] or part["d2"], 0))
        return fraction and replace(fraction, value=fraction.value + int(part["whole"]))
    if part["n3"]:
        return _ratio(_decimal(part["n3"], 0), _decimal(part["d3"], 0))
    if part["cycle"]:
        return _repeating(part["head"], part["cycle"])
    if power := part["p1"] or part["p2"]:
        return Number(Fraction(10) ** int(power)) if abs(int(power)) <= MAX_DIGITS else None
    exponent = part["e1"] or part["e2"] or part["e3"]
    shift = int(exponent.replace(" ", "")) if exponent else 0
    if abs(shift) > MAX_DIGITS:
        return None
    number = _decimal(part["n4"], shift, scientific=bool(exponent))
    return _ratio(number, _decimal(part["d4"], 0)) if part["d4"] else number


def _decimal(text: str, shift: int, scientific: bool = False) -> Number:
    """A signed decimal with separators, times ten to the `shift`."""
    if shift == 0 and not scientific and text.isdecimal():
        return Number(Fraction(int(text)))
    if text.count(".") > 1:
        text = text.replace(".", "")  # 1.000.000
    whole, _, places = re.sub(r"[, '_+]", "", text).partition(".")
    value = Fraction(int(f"{whole or '0'}{places}" if whole != "-" else f"-{places}"), 1)
    step = Fraction(10) ** (shift - len(places))
    if not places and not scientific:
        return Number(value * step)
    return Number(value * step, digits=len(f"{whole}{places}".lstrip("-0")), step=step)


def _ratio(top: Number, bottom: Number) -> Number | None:
    return Number(top.value / bottom.value) if bottom.value else None


def _repeating(head: str, cycle: str) -> Number:
    """`0.1` and `6` for 0.1666...: the cycle is a fraction over as many nines."""
    start = _decimal(head, 0)
    places = len(head.partition(".")[2])
    return Number(start.value + Fraction(int(cycle), (10 ** len(cycle) - 1) * 10**places))
