"""Defines the kinds of bare answers: a number, a choice, words, a formula, a named value, or a group of these."""

from __future__ import annotations

from dataclasses import dataclass

from econ_env.answers.exact import Number


@dataclass(frozen=True, slots=True)
class Words:
    """Plain words, in lower case and without a leading article."""

    text: str


@dataclass(frozen=True, slots=True)
class Formula:
    """LaTeX that is neither a number nor a group."""

    latex: str
    unit: str = ""
    """Name of a known unit."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A multiple-choice letter, perhaps with the text of that choice."""

    letter: str
    content: Form | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """A value with its name: x = 5."""

    name: str
    value: Form
    latex: str
    """The whole relation."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Several answers that belong together.

    `kind` is `list` (bare, or joined by a union sign; without order), `{}` (a set), `()`, `[]`, `(]`, `[)` (tuple or
    interval by its brackets), `matrix`, `row`, `time` (of the day, or a ratio written like one), `ratio` (any other),
    `date` (year, month, day) or `base` (digits and their base).
    """

    kind: str
    items: tuple[Form, ...]
    unit: str = ""
    """`am` or `pm` of a time of day."""


Form = Number | Words | Formula | Choice | Named | Collection
