"""Reads the choices of a multiple-choice question, letters them, and reads the gold answer among them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from econ_env.answers.gold import plain_number
from econ_env.errors import ProblemFieldError, ProblemGoldError
from econ_env.problems.fields import is_empty, short, unwrap
from econ_env.problems.gold import read_gold

LETTERS = "ABCDEFGHIJ"
"""The letters that the answer rule reads as choices."""

_TEXTS = ("text", "content", "value", "option", "choice")
_LABELS = ("label", "key", "letter", "id")
_LETTER = re.compile(r"\(?([A-Ja-j])\s?(?:[).:]|$)\s*(.*)", re.DOTALL)
_SIGNED = re.compile(r"[-+−–][^,;()\[\]]+")


@dataclass(frozen=True)
class Choices:
    """The choices of one question, in order."""

    texts: tuple[str, ...]
    """What each one says, without its letter."""
    labels: tuple[str, ...] = ()
    """What the data call each one, where they do not just count: `1`, `b`."""
    numbers: bool = False
    """Whether the data have them as numbers."""

    def lines(self) -> str:
        """One line a choice: `A) ...`."""
        return "\n".join(f"{letter}) {text}" for letter, text in zip(LETTERS, self.texts, strict=False))

    def are_in(self, question: str) -> bool:
        """Whether a question lists all of them by letter already, one after the other."""
        marked = (
            rf"\(?{letter}\s?[).:]\s*{re.escape(text)}" for letter, text in zip(LETTERS, self.texts, strict=False)
        )
        return re.search(".*?".join(marked), question, re.DOTALL | re.IGNORECASE) is not None


def read_choices(value: object) -> Choices | None:
    """Read the value of a column of choices.

    It may be a list of texts or numbers, with or without letters before them; texts by letter; a list of groups, or a
    group of two lists, with text and label; or one text with letters or in lines, or with such a list in JSON or
    Python.

    Args:
        value: The value.

    Returns:
        The choices; `None` if the value says nothing.

    Raises:
        ProblemFieldError: The value can't be read as choices, or there are fewer than two or more than ten.
    """
    if is_empty(value):
        return None
    choices = _without_letters(_read(value))
    if "" in choices.texts:
        raise ProblemFieldError(f"a choice is empty in {short(value)}")
    if not 2 <= len(choices.texts) <= len(LETTERS):
        raise ProblemFieldError(f"there must be 2 to {len(LETTERS)} choices, got {short(value)}")
    return choices


def read_choice(value: object, choices: Choices) -> str:
    """Read the gold answer of a multiple-choice question: `(C) 5`, which the answer rule finds in `C` and in `5`.

    Args:
        value: The choice's letter, its text or what the data call it. A whole number is its place, counted from 0,
            unless the choices are numbers too.
        choices: The choices.

    Raises:
        ProblemGoldError: It is none of the choices, or may mean two of them.
    """
    gold = read_gold(value)
    value = unwrap(value)
    if isinstance(value, int) and not isinstance(value, bool) and not choices.numbers and not choices.labels:
        meant = [value] if 0 <= value < len(choices.texts) else []
    else:
        meant = _meant(gold, choices)
    if len(meant) != 1:
        many = f"may be {' or '.join(LETTERS[place] for place in meant)}" if meant else "is none"
        listing = ", ".join(f"({letter}) {short(text)}" for letter, text in zip(LETTERS, choices.texts, strict=False))
        raise ProblemGoldError(
            f"the gold answer {short(gold)} {many} of the choices {listing}; give its letter (a number counts from 0), "
            "or leave the choices out with choices_field=''"
        )
    return _marked(LETTERS[meant[0]], choices.texts[meant[0]])


def _read(value: object) -> Choices:
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, Mapping):
        texts, labels = _first(value, _TEXTS), _first(value, _LABELS)
        if isinstance(texts, list | tuple):
            return _labelled(texts, labels if isinstance(labels, list | tuple) else ())
        given = sorted((str(key), text) for key, text in value.items() if not is_empty(text))
        return _labelled([text for _, text in given], [key for key, _ in given])
    if isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value):
        return _labelled([_first(item, _TEXTS) for item in value], [_first(item, _LABELS) for item in value])
    if isinstance(value, list | tuple):
        return _labelled(value, ())
    raise ProblemFieldError(f"{short(value)} can't be read as choices")


def _labelled(texts: Sequence[object], labels: Sequence[object]) -> Choices:
    named = [str(label).strip() for label in labels if not is_empty(label)]
    numbers = all(isinstance(text, int | float | Decimal) and not isinstance(text, bool) for text in texts)
    return Choices(tuple(map(_text, texts)), tuple(named) if len(named) == len(texts) else (), numbers)


def _text(value: object) -> str:
    value = unwrap(value)
    if isinstance(value, bool | str):
        return " ".join(str(value).split())
    if isinstance(value, int | float | Decimal):
        return read_gold(value)
    raise ProblemFieldError(f"{short(value)} can't be read as a choice")


def _of_text(text: str) -> Choices:
    if text.strip().startswith(("[", "{")):
        for read in (json.loads, ast.literal_eval):
            try:
                value = read(text.strip())
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
            if isinstance(value, list | tuple | dict):
                return _read(value)
    parts = _by_letters(text) or [line for line in text.splitlines() if line.strip()]
    if len(parts) < 2:
        raise ProblemFieldError(f"{short(text)} can't be read as choices: it has neither letters nor lines")
    return _labelled(parts, ())


def _by_letters(text: str) -> list[str]:
    """The parts of `A) 4 B) 5` or of `a ) 4 , b ) 5`; empty if it does not start with A."""
    starts: list[tuple[int, int]] = []
    for letter in LETTERS:
        place = starts[-1][1] if starts else 0
        mark = re.compile(rf"(?:^|(?<=[\s,;]))\(?[{letter}{letter.lower()}]\s?[).:]\s*").search(text, place)
        if mark is None or (not starts and text[: mark.start()].strip()):
            break
        starts.append(mark.span())
    ends = [start for start, _ in starts[1:]] + [len(text)] * bool(starts)
    return [text[start:end].strip().rstrip(",;").strip() for (_, start), end in zip(starts, ends, strict=True)]


def _without_letters(choices: Choices) -> Choices:
    """The same without letters that the texts start with, if all of them do, in order."""
    marks = [_LETTER.fullmatch(text) for text in choices.texts]
    if all(mark and mark[2] and mark[1].upper() == letter for mark, letter in zip(marks, LETTERS, strict=False)):
        return replace(choices, texts=tuple(mark[2].strip() for mark in marks if mark))
    return choices


def _meant(gold: str, choices: Choices) -> list[int]:
    """The places that a gold answer may mean."""
    if gold in choices.labels:
        return [choices.labels.index(gold)]
    same = {place for place, text in enumerate(choices.texts) if text == gold} or {
        place for place, text in enumerate(choices.texts) if _key(text) == _key(gold)
    }
    mark = _LETTER.fullmatch(gold)
    place = LETTERS.index(mark[1].upper()) if mark else len(choices.texts)
    if mark and place < len(choices.texts) and (not mark[2] or _key(mark[2]) == _key(choices.texts[place])):
        return sorted(same | {place})
    if gold.isdecimal() and int(gold) < len(choices.texts) and not choices.labels and not choices.numbers:
        return sorted(same | {int(gold)})
    return sorted(same)


def _key(text: str) -> str:
    text = " ".join(text.split())
    if len(text) > 2 and text[0] == text[-1] == "$":
        text = text[1:-1].strip()
    return plain_number(text).casefold()


def _marked(letter: str, text: str) -> str:
    r"""A gold that is right by letter and by text.

    The answer rule reads `(B) -5` as a difference, so what starts with a sign is put in brackets. Where the text looks
    like a letter or starts with another operator, the letter stands alone.
    """
    if len(text) > 2 and text[0] == text[-1] == "$" and "$" not in text[1:-1]:
        text = text[1:-1].strip()
    if _SIGNED.fullmatch(text):
        return f"({letter}) ({text})"
    if _LETTER.fullmatch(text) or text[0] in "=+-−–*/^<>":
        return f"({letter})"
    return f"({letter}) {text}"


def _first(group: Mapping[object, object], keys: tuple[str, ...]) -> object:
    return next((group[key] for key in keys if key in group), None)
