"""Reads the working of a reply: which of its equations hold, and whether it leads to the answer.

An equation counts as wrong only if it surely does not hold: what may be a rounded number, a change of units, a percent
sign that was left out or a sum that goes on (5 + 3 = 8 - 2 = 6) is let pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

from econ_env.answers.exact import Number
from econ_env.answers.parse import read_form
from econ_env.answers.sums import BrokenError, Reader, Reading, Side
from econ_env.answers.tokens import plain_text, read_tokens
from econ_env.records import Working

MAX_TEXT = 20_000
"""Of a longer working, only this many characters at its end are read."""

NONE = Working(0, 0, 0, False, False)
"""Of an empty text."""

_STATED = re.compile(r"""(?i)["']answer["']\s*:|\banswer\s+is\b|\banswer\W{0,4}:|\#{4}|\\boxed\s*\{""")

# Words that join what follows them to what stands before; those before "of" that take all of what follows; words that
# multiply a number or make another one of it; units that can be converted, and by what; by what share a rounded
# quotient may be off.
_CUT_BEFORE = frozenset({
    "of", "than", "times", "by", "plus", "minus", "over", "half", "twice", "thrice", "double", "triple", "third",
    "thirds", "quarter", "percent", "per", "less", "more", "squared", "dozen", "divided", "multiplied", "hundred",
    "thousand", "million",
})  # fmt: skip
_WHOLE_OF = frozenset({"total", "sum", "amount"})
_SCALES = frozenset({
    "dozen", "dozens", "hundred", "hundreds", "thousand", "thousands", "million", "millions", "billion", "half",
    "halves", "pair", "pairs", "couple", "k", "cents", "cent", "¢", "pennies", "nickels", "dimes", "quarters",
    "of", "than",
})  # fmt: skip
_MEASURES = frozenset({
    "second", "seconds", "sec", "minute", "minutes", "min", "mins", "hour", "hours", "hr", "hrs", "day", "days",
    "week", "weeks", "month", "months", "year", "years", "yr", "yrs", "inch", "inches", "in", "foot", "feet",
    "ft", "yard", "yards", "mile", "miles", "mm", "cm", "meter", "meters", "metre", "metres", "km", "kilometers",
    "kilometer", "gram", "grams", "kg", "kilogram", "kilograms", "ounce", "ounces", "oz", "pound", "pounds", "lb",
    "lbs", "ton", "tons", "ml", "milliliters", "liter", "liters", "litre", "litres", "gallon", "gallons", "quart",
    "quarts", "pint", "pints", "cup", "cups", "tablespoon", "tablespoons", "teaspoon", "teaspoons", "dollar",
    "dollars",
})  # fmt: skip
_CONVERSIONS = frozenset(
    {2, 3, 4, 7, 8, 10, 12, 16, 24, 30, 36, 48, 52, 60, 100, 128, 168, 365, 1000, 1440, 2000, 3600, 5280, 10080}
)
_ROUNDED = Fraction(1, 98)


@lru_cache(maxsize=4096)
def working_of(text: str, answer: str | None) -> Working:
    """What can be checked of the working in a reply: its text before the place where it states the answer.

    Args:
        text: A whole reply.
        answer: The answer as read in it; without a number, no number of the working is the answer.
    """
    marks = list(_STATED.finditer(text))
    part = text[: marks[-1].start()] if marks else text
    if not part.strip():
        return NONE
    plain = plain_text(part if len(part) <= MAX_TEXT else "^" + part[-MAX_TEXT:])
    tokens = read_tokens(plain)
    numbers = [token.value for token in tokens if token.kind == "num"]
    verdicts = list(_verdicts(Reader(tokens), len(tokens)))
    wanted = _value(answer)
    return Working(
        equations=len(verdicts),
        wrong=verdicts.count(False),
        numbers=len(numbers),
        ends=wanted is not None and numbers[-1:] == [wanted],
        shows=wanted is not None and wanted in numbers,
    )


def _value(answer: str | None) -> Fraction | None:
    form = None if answer is None else read_form(answer)
    return abs(form.value * form.scale) if isinstance(form, Number) else None


def _verdicts(reader: Reader, count: int) -> Iterator[bool]:
    """Whether each equation holds, without those of which it can't be told."""
    left: Side | None = None
    place = 0
    while place < count:
        if not _begins(reader, place):
            if reader.token(place).kind not in ("equals", "line"):
                left = None
            place += 1
            continue
        side = _read(reader, place, Reading())
        if side is None:
            left = None
            place = place + 1 if reader.token(place).kind == "open" else max(place + 1, reader.place)
            continue
        after = side.end
        while reader.token(after).kind == "line" and reader.token(after + 1).kind in ("line", "equals"):
            after += 1
        whole = _is_whole(reader, side)
        behind = _behind_equals(reader, place)
        if left is not None and behind and whole and (left.operators or side.operators):
            held = _holds(reader, left, side)
            if held is not None and (held or _closes(reader, left, side)):
                yield held
        goes_on = reader.token(after).kind == "equals" and whole
        left = side if goes_on and (behind or (side.operators and _is_clean(reader, place))) else None
        place = after


def _begins(reader: Reader, place: int) -> bool:
    token, before = reader.token(place), reader.token(place - 1)
    if token.text == "-" and token.kind == "op":
        return reader.begins(place + 1) and before.kind in ("end", "equals", "relation", "open", "mark", "line")
    return reader.begins(place)


def _read(reader: Reader, place: int, reading: Reading) -> Side | None:
    try:
        return reader.read(place, reading)
    except BrokenError:
        return None


def _is_whole(reader: Reader, side: Side) -> bool:
    """Whether an expression does not go on in a way that can't be read."""
    after = reader.token(side.end).kind
    if after in ("num", "frac"):
        return reader.token(side.end - 1).kind == "word"
    return after not in ("op", "bad", "letter")


def _behind_equals(reader: Reader, place: int) -> bool:
    before = reader.token(place - 1)
    if before.kind == "line":
        before = reader.token(place - 2)
    return before.kind == "equals"


def _is_clean(reader: Reader, place: int) -> bool:
    """Whether an expression that begins here is no end of a longer one."""
    before, earlier = reader.token(place - 1), reader.token(place - 2)
    if reader.token(place).kind == "open" and reader.token(place + 2).kind == "close" and before.kind == "word":
        return False  # "the floor (3) + 6"
    if before.kind == "word":
        word = before.text.lower()
        if word == "of":
            return earlier.text.lower() in _WHOLE_OF
        slash = reader.token(place + 1).text == "/" and reader.token(place).value < reader.token(place + 2).value
        mixed = word == "and" and earlier.kind == "num" and slash
        return word not in _CUT_BEFORE and not mixed
    return before.kind in ("end", "equals", "relation", "open", "mark", "line")


def _closes(reader: Reader, left: Side, right: Side) -> bool:
    """Whether no bracket that opened before the equation was forgotten."""
    return reader.token(left.start - 1).kind != "open" or reader.token(right.end).kind in ("close", "equals")


def _holds(reader: Reader, left: Side, right: Side) -> bool | None:
    """Whether an equation holds in any reading; `None` if it seems not to, and that is not sure."""
    for one in _readings(reader, left):
        for other in _readings(reader, right):
            if _equal(one, other):
                return True
    if right.operators and right.first == left.value:
        return True  # the sum goes on
    return None if _is_unsure(left, right) else False


def _readings(reader: Reader, side: Side) -> Iterator[Side]:
    yield side
    for asides in (False, True) if side.bracketed else (False,):
        for percent in ("hundredth", "number", "share") if side.percent else ("hundredth",):
            reading = Reading(percent, asides)
            if reading != Reading() and (found := _read(reader, side.start, reading)) is not None:
                yield found


def _equal(left: Side, right: Side) -> bool:
    off = abs(left.value - right.value)
    if not off:
        return True
    if left.rounded or right.rounded:
        share = _ROUNDED + left.slack + right.slack
        if off <= share * max(abs(left.value), abs(right.value)):
            return True
    for side, other in ((left, right), (right, left)):
        if not side.operators and (other.value / side.step).denominator != 1 and off < side.step:
            return True  # rounded or cut to the decimals shown
    return False


def _is_unsure(left: Side, right: Side) -> bool:
    units = left.units | right.units
    if units & _SCALES:
        return True
    if left.units and right.value == left.last:
        return True  # 3 men + (10 - 3) women = 7 women
    if left.units and right.operators:
        return True  # 2 adults + 3 children = 2 * 10 + 3 * 5
    if right.money and not left.money and left.units and left.operators <= {"+", "-"}:
        return True
    if len(units & _MEASURES) < 2:
        return False
    if (left.operators | right.operators) & {"+", "-"}:
        return True
    big, small = sorted((abs(left.value), abs(right.value)), reverse=True)
    return not small or big / small in _CONVERSIONS
