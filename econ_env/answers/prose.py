"""Finds numbers, formulas, sentence ends and the answer in prose; shared by the readers of replies."""

from __future__ import annotations

import re

from econ_env.answers.clean import has_content
from econ_env.answers.exact import Number
from econ_env.answers.forms import Choice, Collection, Form, Formula, Named, Words
from econ_env.answers.parse import read_form

MAX_WORDS = 3
"""Longer runs of words are prose, not an answer."""

_DIGITS = r"(?:[1-9]\d{0,2}(?:(?:,|\{,\}|\\,)\d{3})+(?!\d)|\d{1,3}(?:[ ]\d{3})+(?![\d-])|\d+)(?:\.\d+)?"
NUMBER = re.compile(
    rf"""
    (?<![A-Za-z0-9_.,\\])(?:(?<![\w)}}\d]\s)(?<![\w)}}\d])[-−+])?(?:[$€£¥₹]|\\\$)?[ ]?-?
    (?:{_DIGITS}(?::{_DIGITS}){{1,2}}(?!\d)|\d+[ ]:[ ]\d+(?!\d)  # a time or a ratio
      |\d{{1,2}}(?P<slash>[/.-])\d{{1,2}}(?P=slash)\d{{4}}(?!\d)|\d\d/\d\d/\d\d(?![\d/])  # a date
      |\d{{4}}-\d\d-\d\d(?!\d)
      |[1-9]\d{{0,2}}(?:\.\d{{3}}){{2,}}(?![\d,])|\d{{1,3}}(?:\.\d{{3}})+,\d+(?![\d,])  # a decimal comma, or a list
      |(?![1-9]\d{{0,2}}(?:,\d{{3}})+(?!,?\d))\d+(?:,-?\d+)+(?![\d.]\d)
      |{_DIGITS}(?:[eE][-+]?\d+)?(?:\s?(?:\\times|\\cdot|×|x|\*)\s?10\s?\^\s?\{{?[-−+]?\d+\}}?)?
       (?:[ ]\d+/\d+|\s?/\s?{_DIGITS})?
      |\.\d+)
    (?:\s?(?:\\pi(?![a-z])|π|\\sqrt\{{\d+\}}|√\s?\d+)|[ ]pi\b|\^\{{?[-−]?\d+\}}?)?  # what multiplies it, or a power
    (?:\s?\\?%|[ ](?:percent|hundred|thousand|million|billion|trillion)\b|(?:_|[ ]in[ ]base[ ])\{{?\d+\}}?)?
    |\\[dt]?frac(?:\{{-?\d+\}}|\d)(?:\{{\d+\}}|\d)|[½⅓⅔¼¾⅛⅜⅝⅞]
    """,
    re.VERBOSE,
)
MATH = re.compile(
    r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<![\\\d])\$(?!\d+(?:\.\d+)?\s+\w+\s)([^$\n]+?)\$", re.DOTALL
)
SENTENCE_END = re.compile(r"[.!?](?=[\s*\"')]|$)|\n")
HEDGE = re.compile(r"(?i)\b(?:or|either|maybe|perhaps|possibly|might|alternatively)\b")
_LABEL = re.compile(r"[^\W\d]+\.? \d{1,4}|[a-z]{1,3}\d{1,4}")  # june 20, b12
_SET_IN_WORDS = re.compile(  # all powers of 2: the number only describes
    r"(?:all|any|every|each|multiples|powers|divisors|factors)\b(?: [^\W\d]+){0,5}"
    r" (?:of|except|than|by|modulo|mod|to|from|over|below|above|excluding) ?[\d.,]+"
)
_COUNT_OF_SOLUTIONS = re.compile(
    r"(?:there (?:is|are) )?(?:no|none|infinite|infinitely|an infinite)\b(?: \w+){0,3}"
    r" (?:solutions?|roots?|values?|zeros?|zeroes|integers?|numbers?|answers?)(?: exists?)?"
)
_DENIAL = re.compile(r"(?i)\b(?:not|never|cannot|wrong|incorrect|unknown|unclear)\b|n't\b")
_ASIDE = re.compile(
    r"(?i),?\s+(?:(?:because|since|which|as|when|if|for|so|that|where|after|before|given|who|but|not|rather|instead|—|-)\s|\()"
    r"|,\s+(?!or\b|and\b)(?=[a-z]{2,})"
)
_CLAUSE = re.compile(
    r"(?i),?\s+(?:(?:because|since)\s(?!.*\b(?:equals?|so|then|therefore|thus|hence)\b)"
    r"|(?:if|when|whenever|while|unless|although|though|as long as|given that|assuming|provided that"
    r"|(?:by|after|before|without)\s+(?:only\s+|just\s+)?[a-z]+ing)\s"
    r"(?!.*\b(?:equals?|so|then|therefore|thus|hence|gets?|gives?|makes|leaves|becomes?|and|but|or)\b))"
    r"(?:[^,=]|,(?=\d{3}))*$"
)
_DANGLING = re.compile(r",?\s+(?:which|because|since|but|and|so|as|that|while)$")


def settle(text: str) -> str | None:
    """Find the answer in a short text that a marker points to.

    Args:
        text: A JSON field, the content of a box, the rest of a line.

    Returns:
        The text itself if it reads as an answer; else the part before an aside, or its only number; `None` if it has
        no answer or several candidates.
    """
    text = _DANGLING.sub("", text.strip())
    if not has_content(text):
        return None
    if reads_as_answer(read_form(text)):
        return text
    aside = _ASIDE.search(text)
    if aside and not HEDGE.search(text):
        head = text[: aside.start()].strip()
        if (
            not _DENIAL.search(head)
            and re.search(r"\d|\\[a-z]|^\W?[A-Z]\W?$", head)
            and reads_as_answer(read_form(head))
        ):
            return head
    return None if _DENIAL.search(text) else _only_number(text)


def main_clause(sentence: str) -> str:
    """A sentence without a reason, condition or means at its end (`because`, `if`, `when`, `by selling`).

    Nothing is removed if no number stands before it, or if the clause computes something itself.
    """
    clause = _CLAUSE.search(sentence)
    return sentence[: clause.start()] if clause and NUMBER.search(sentence, 0, clause.start()) else sentence


def reads_as_answer(form: Form) -> bool:
    """Whether this is an answer rather than prose."""
    if isinstance(form, Words):
        if re.search(r"\d", form.text):
            known = _LABEL.fullmatch(form.text) or _SET_IN_WORDS.fullmatch(form.text)
            return known is not None and not _DENIAL.search(form.text)
        return 0 < len(form.text.split()) <= MAX_WORDS or _COUNT_OF_SOLUTIONS.fullmatch(form.text) is not None
    if isinstance(form, Collection):
        return form.kind == "base" or all(reads_as_answer(item) for item in form.items)
    if isinstance(form, Named):
        return reads_as_answer(form.value)
    if isinstance(form, Choice):
        return form.content is None or reads_as_answer(form.content)
    return isinstance(form, Number | Formula)


def _only_number(text: str) -> str | None:
    found = [match[0].strip() for match in NUMBER.finditer(text)]
    return found[0] if found and len(set(found)) == 1 else None
