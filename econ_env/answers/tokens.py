"""Splits a text with arithmetic in it into numbers, operators, words and signs."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

MAX_DIGITS = 15
"""Longer numbers are not read."""

_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|textbf|operatorname)\s*\{([^{}]*)\}")
_DROPPED = re.compile(r"\\[()\[\],;!:]|\\(?:left|right|displaystyle|boxed|quad)\b|[`&]|(?<!\d)\*\*|\*\*(?!\d)")
_MARKER = re.compile(r"(?m)^[ \t]*(?:(?:[-*•]|#+|\d{1,2}[.)])[ \t]+){1,3}")
_TOKEN = re.compile(
    r"""
    (?P<num>(?P<cur>[$€£¥]\s?)?(?<![\w.])(?P<digits>(?:\d{1,3}(?:,\d{3})+(?!\d|,\d)|\d+)(?:\.\d+)?|\.\d+)
      (?P<percent>\s?(?:%|percent\b))?)
  | (?P<bad>\d*\.{2,}|…|\*\*|(?<=\d)\s?:\s?(?=\d)(?<!:\s)|\\sqrt|[\^_√²³½⅓⅔¼¾]|\d+)
  | (?P<relation><=|>=|=>|->|!=|[≠≤≥≈→⇒<>~]|\\(?:approx|neq?|leq?|geq?|[rR]ightarrow|implies|sim|to)\b)
  | (?P<equals>==?)
  | (?P<frac>\\[dt]?frac\b)
  | (?P<op>[-+*/×÷·⋅∗−–]|\\(?:times|cdot|div)\b)
  | (?P<open>[(\[{]) | (?P<close>[)\]}])
  | (?P<letter>[^\W\d_](?![^\W\d_]|['’-][^\W\d_]))
  | (?P<word>(?:(?<=\d)-)?[^\W\d_]+(?:['’-][^\W\d_]+)*|¢)
  | (?P<line>\n)
  | (?P<mark>[.,;:!?"“”'’|—#])
  | (?P<space>\s+|[$€£¥])
  | (?P<other>.)
    """,
    re.VERBOSE,
)
_OPERATORS = {"×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "−": "-", "–": "-"}
_NAMED = {"\\times": "*", "\\cdot": "*", "\\div": "/"}
_SHORT_UNITS = frozenset({"kg", "km", "cm", "mm", "ft", "in", "lb", "oz", "ml", "hr", "yr"})


class Token(NamedTuple):
    """A piece of a text."""

    kind: str
    """`num`, `op`, `equals`, `relation`, `open`, `close`, `frac`, `word`, `letter`, `line`, `mark`, or `bad` for what
    is not understood."""
    text: str
    """As written; one of `+ - * /` for an operator."""
    start: int
    """Where it begins."""
    end: int
    """Where the next one may begin."""
    value: Fraction = Fraction(0)
    """Of a number, without its percent sign."""
    decimals: int = 0
    """Digits behind its point."""
    percent: bool = False
    """Whether a percent sign follows."""
    money: bool = False
    """Whether a currency sign stands before it."""


def plain_text(text: str) -> str:
    """A text without the signs of LaTeX, Markdown, JSON and lists that say nothing about its arithmetic."""
    if "\\" in text:
        text = re.sub(r"\\{2,}(?=[A-Za-z()\[\]$%,;!])", r"\\", text).replace("\\\\", "\n")
        text = re.sub(r"\\n(?!eq?\b|ot\b)", "\n", text)
        text = text.replace("\\$", "$").replace("\\%", "%").replace("{,}", ",")
        text = _TEXT.sub(r" \1 ", text)
    return _MARKER.sub("", _DROPPED.sub(" ", text))


def read_tokens(text: str) -> list[Token]:
    """The pieces of a text as `plain_text` gives it, without spaces."""
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if kind == "space":
            continue
        written = match[0]
        if match["num"] is not None:
            tokens.append(_number(match))
        elif kind == "op":
            written = _NAMED.get(written) or _OPERATORS.get(written, written)
            tokens.append(Token("op", written, match.start(), match.end()))
        elif kind == "word" and _is_factor(written) and _follows_number(tokens, match.start()):
            tokens.append(Token("bad", written, match.start(), match.end()))
        else:
            tokens.append(Token("bad" if kind == "other" else kind, written, match.start(), match.end()))
    return tokens


def _follows_number(tokens: list[Token], place: int) -> bool:
    return bool(tokens) and tokens[-1].kind == "num" and tokens[-1].end == place


def _is_factor(word: str) -> bool:
    """Whether a word directly behind a number is no unit: `2ab`, `3Jo`, `5th`."""
    return not (word.startswith("-") or word in _SHORT_UNITS or (len(word) > 2 and word.islower()))


def _number(match: re.Match[str]) -> Token:
    digits = match["digits"].replace(",", "")
    if len(digits) > MAX_DIGITS:
        return Token("bad", match[0], match.start(), match.end())
    return Token(
        "num", match[0], match.start(), match.end(),
        value=Fraction(digits),
        decimals=len(digits.partition(".")[2]),
        percent=match["percent"] is not None,
        money=match["cur"] is not None,
    )  # fmt: skip
