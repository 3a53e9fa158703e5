"""Evaluates and compares LaTeX formulas; too large ones are refused, and too slow ones are stopped."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from econ_env.answers import algebra_process
from econ_env.answers.exact import Number

MAX_LENGTH = 400
"""Characters of a formula that is still evaluated."""

_MAX_NESTING = 20
_MAX_DIGITS = 40
_MAX_POWER = 1_000
_MAX_POWER_OF_VARIABLES = 100
_MAX_POWER_OF_SUM = 12
_MAX_FACTORIAL = 200

_EXPONENT = re.compile(r"\^(?:\{((?:[^{}]|\{[^{}]*\})*)\}|(\\?\w))")
_UNDONE = re.compile(r"\\(?:int|iint|oint|lim|sum|prod)(?![a-zA-Z])")  # writing down the task is not an answer
_TRIGONOMETRIC = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)")


def value_of(latex: str) -> Number | None:
    r"""The value of a formula without variables, such as `\sqrt{2}` or `2^{10}`.

    Returns:
        The number; `None` if it has variables, can't be read, is too large or takes too long.
    """
    return None if is_too_heavy(latex) else _value(_for_parser(latex))


def are_equivalent(a: str, b: str) -> bool:
    """Whether two formulas are equal. Formulas not shown to be equal within the limits differ, unless written alike."""
    a, b = _for_parser(a), _for_parser(b)
    if a == b:
        return True
    if is_too_heavy(a) or is_too_heavy(b):
        return False
    return _same(*sorted((a, b)))


def is_too_heavy(latex: str) -> bool:
    """Whether evaluation may take too long: towers of powers, large factorials, deep nesting, great length."""
    if len(latex) > MAX_LENGTH or re.search(rf"\d{{{_MAX_DIGITS}}}|\d[eE][-+]?\d{{3}}", latex) or _UNDONE.search(latex):
        return True
    depth = deepest = 0
    for char in latex:
        depth += (char in "{([") - (char in "})]")
        deepest = max(deepest, depth)
    if deepest > _MAX_NESTING:
        return True
    text = latex.replace(" ", "")
    variables = re.search(r"(?<![\\a-zA-Z])[a-zA-Z](?![a-zA-Z])", text) is not None
    limit = _MAX_POWER_OF_VARIABLES if variables else _MAX_POWER
    if re.search(r"\^(?:\\?\w|\{[^{}]*\})\^", text):
        return True
    if variables and any(int(number) > _MAX_POWER_OF_SUM for number in re.findall(r"\)\^\{?(\d+)", text)):
        return True
    if any(int(number) > _MAX_POWER for number in re.findall(r"binom\{?(\d+)", text)):
        return True
    for braced, single in _EXPONENT.findall(text):
        exponent = braced or single
        if ("^" in exponent or "!" in exponent) and re.search(r"\d", exponent) and not variables:
            return True
        if any(int(number) > limit for number in re.findall(r"\d+", exponent)):
            return True
    if re.search(r"\^\{(?:[^{}]|\{[^{}]*\})*\{[^{}]*\{", text):
        return True  # an exponent is nested too deeply for the pattern above
    if text.count("|") > 6 or "!!" in text or (re.search(r"[)}\]]!", text) and not variables):
        return True
    return any(int(number) > _MAX_FACTORIAL for number in re.findall(r"(\d+)!", text))


def _for_parser(latex: str) -> str:
    """The formula as the parser needs it: degrees become radians if it has a trigonometric function, else vanish."""
    latex = latex.replace("°", r"\cdot\frac{\pi}{180}" if _TRIGONOMETRIC.search(latex) else "")
    return re.sub(r"(?<![a-zA-Z]) +| +(?![a-zA-Z])", "", latex)


@lru_cache(maxsize=4096)
def _value(latex: str) -> Number | None:
    reply = algebra_process.ask({"do": "value", "latex": latex})
    if "rational" in reply:
        return Number(Fraction(reply["rational"]))
    if "decimal" in reply:
        return Number(Fraction(reply["decimal"]), irrational=True)
    return None


@lru_cache(maxsize=4096)
def _same(a: str, b: str) -> bool:
    reply = algebra_process.ask({"do": "same", "latex": a, "other": b})
    return bool(reply.get("same"))
