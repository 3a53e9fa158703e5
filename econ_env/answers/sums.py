"""Reads an arithmetic expression at a place in a text, and computes it exactly.

There is one right way to read most expressions. Where there are several, `Reading` says which one is meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, NamedTuple

from econ_env.answers.tokens import Token

MAX_OPERANDS = 60
MAX_NESTING = 12
MAX_UNIT_WORDS = 4

OPERATOR_WORDS = {"plus": "+", "minus": "-", "times": "*", "multiplied": "*", "divided": "/"}
_END = Token("end", "", -1, -1)


class BrokenError(ValueError):
    """There is no whole expression at this place."""


class Reading(NamedTuple):
    """How an expression is read."""

    percent: Literal["hundredth", "number", "share"] = "hundredth"
    """Whether 5% is 0.05, 5 or, behind a plus or minus, a share of what stands before it."""
    asides: bool = False
    """Whether brackets behind a number and a space are left out: `12 (3 * 4) + 1`."""


@dataclass
class Side:
    """An expression of an equation."""

    start: int
    """Place of its first token."""
    end: int = 0
    """Place behind its last one, and behind its units."""
    value: Fraction = Fraction(0)
    """What it is."""
    first: Fraction = Fraction(0)
    """The first number in it."""
    last: Fraction | None = None
    """What its last term is, if that is a product or a bracket behind a plus or minus."""
    operators: set[str] = field(default_factory=set)
    """Those it has."""
    operands: int = 0
    """Its numbers."""
    step: Fraction = Fraction(1)
    """One unit in the last place of its last number."""
    slack: Fraction = Fraction(0)
    """How far it may be off, as a share, if its decimals were rounded."""
    rounded: bool = False
    """Whether it has a quotient that is not whole, or a decimal that looks cut off, as 0.33."""
    percent: bool = False
    """Whether it has a percent sign."""
    bracketed: bool = False
    """Whether it has brackets behind a number and a space."""
    money: bool = False
    """Whether it has a currency sign."""
    units: set[str] = field(default_factory=set)
    """Words behind its numbers, in lower case."""


class Reader:
    """Reads expressions among tokens."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self.place = 0
        """How far the last reading came, also if it failed."""
        self._reading = Reading()
        self._side = Side(0)
        self._depth = 0

    def token(self, place: int) -> Token:
        """The token at a place; one of the kind `end` outside."""
        return self._tokens[place] if 0 <= place < len(self._tokens) else _END

    def read(self, place: int, reading: Reading) -> Side:
        """The longest expression that begins at a place.

        Raises:
            BrokenError: There is none that is whole, or it is too long.
        """
        self.place, self._reading, self._side, self._depth = place, reading, Side(place), 0
        value = self._sum()
        self._side.value, self._side.end = value, self.place
        return self._side

    def begins(self, place: int) -> bool:
        """Whether a number, a fraction or an opening bracket stands at a place."""
        return self.token(place).kind in ("num", "frac", "open")

    def _operator(self) -> str:
        """The operator at this place, or nothing."""
        token = self.token(self.place)
        if token.kind == "op":
            return token.text
        if token.kind == "letter" and token.text in "xX" and self.begins(self.place + 1):
            return "*"
        return ""

    def _sum(self) -> Fraction:
        total = self._product()
        while (operator := self._operator()) in ("+", "-"):
            self.place += 1
            self._side.operators.add(operator)
            before, operands = self.place, self._side.operands
            value = self._product()
            if self._depth == 0:
                self._side.last = value if self._side.operands > operands + 1 else None
            alone = self.place - before == 1 or self.token(before + 1).kind == "word"
            if self._reading.percent == "share" and alone and self.token(before).percent:
                value *= total
            total += value if operator == "+" else -value
        return total

    def _product(self) -> Fraction:
        value = self._factor()
        while True:
            operator = self._operator()
            if operator in ("*", "/"):
                self.place += 1
            elif self.token(self.place).kind == "open" and self._multiplies():
                operator = "*"
            else:
                return value
            self._side.operators.add(operator)
            other = self._factor()
            if operator == "*":
                value *= other
            else:
                value = self._quotient(value, other)

    def _multiplies(self) -> bool:
        """Whether the bracket here multiplies what stands before it; an aside is passed over."""
        place = self.place
        if self.token(place - 1).kind == "word":
            return False  # "20 is (1/4) * 80"
        if self.token(place).start == self.token(place - 1).end:
            return True
        side, depth = self._side, self._depth
        state = side.operands, set(side.operators), side.last
        side.bracketed = True
        try:
            self._bracket()
            closed = True
        except BrokenError:
            closed = False
        past, self.place, self._depth = self.place, place, depth
        side.operands, side.operators, side.last = state
        if closed and self._reading.asides:
            self.place = past
            self._units()
            return False
        return closed

    def _quotient(self, value: Fraction, other: Fraction) -> Fraction:
        if not other:
            raise BrokenError
        value /= other
        self._side.rounded |= value.denominator != 1
        return value

    def _factor(self) -> Fraction:
        token = self.token(self.place)
        if token.kind == "op" and token.text == "-" and self.begins(self.place + 1):
            self.place += 1
            return -self._factor()
        if token.kind == "open":
            value = self._bracket()
        elif token.kind == "frac":
            self.place += 1
            self._side.operators.add("/")
            value = self._quotient(self._bracket(), self._bracket())
        elif token.kind == "num":
            value = self._number(token)
        else:
            raise BrokenError
        self._units()
        return value

    def _bracket(self) -> Fraction:
        if self.token(self.place).kind != "open" or self._depth == MAX_NESTING:
            raise BrokenError
        self.place += 1
        self._depth += 1
        value = self._sum()
        if self.token(self.place).kind != "close":
            raise BrokenError
        self.place += 1
        self._depth -= 1
        return value

    def _number(self, token: Token) -> Fraction:
        side = self._side
        self.place += 1
        side.operands += 1
        if side.operands > MAX_OPERANDS:
            raise BrokenError
        value = token.value + self._mixed(token)
        if side.operands == 1:
            side.first = value
        side.step = Fraction(1, 10**token.decimals)
        if token.percent and self._reading.percent != "number":
            side.step /= 100
        side.percent |= token.percent
        side.money |= token.money
        digits = token.text.strip("% $")
        if token.decimals and digits.endswith(("33", "66", "67")):
            side.rounded = True
        if value and (token.decimals or token.percent):
            side.slack = min(side.slack + Fraction(1, 10**token.decimals) / value, Fraction(1, 10))
        return value / 100 if token.percent and self._reading.percent != "number" else value

    def _mixed(self, token: Token) -> Fraction:
        """The fraction of a mixed number, as 1/2 of 1 1/2."""
        top, slash, bottom = (self.token(self.place + number) for number in range(3))
        if top.kind != "num":
            return Fraction(0)
        whole = not token.decimals and not top.decimals and not bottom.decimals and not token.percent
        if not (whole and slash.text == "/" and bottom.kind == "num" and 0 < top.value < bottom.value):
            raise BrokenError
        self.place += 3
        return top.value / bottom.value

    def _units(self) -> None:
        """Pass over what a number counts: `trees`, `miles per hour`, `/week`, `(from the song)`."""
        words = 0
        while words < MAX_UNIT_WORDS:
            token, after = self.token(self.place), self.token(self.place + 1)
            if token.kind == "word":
                if token.text.lower() in OPERATOR_WORDS and self._spoken(token.text.lower()):
                    raise BrokenError
                self._side.units.add(token.text.lower().lstrip("-"))
                self.place += 1
            elif (token.text == "/" and after.kind == "word") or (token.text == "a" and after.kind == "word"):
                self.place += 1
                continue
            elif token.kind == "open" and after.kind == "word" and (close := self._closed()):
                self.place = close + 1
            else:
                return
            words += 1

    def _spoken(self, word: str) -> bool:
        place = self.place + 2 if word in ("multiplied", "divided") else self.place + 1
        return self.begins(place)

    def _closed(self) -> int:
        """Where the bracket that opens here closes, if it holds no other one; else 0."""
        for place in range(self.place + 1, self.place + 16):
            kind = self.token(place).kind
            if kind == "close":
                return place
            if kind in ("open", "equals", "line", "end"):
                return 0
        return 0
