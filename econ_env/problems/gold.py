"""Reads the bare gold answer from the value of an answer column."""

from __future__ import annotations

from econ_env.answers.gold import read_gold as read_bare_gold
from econ_env.problems.fields import unwrap


def read_gold(value: object) -> str:
    """Read the gold answer of a column as `econ_env.answers.read_gold` does; a list of one element is its element.

    Args:
        value: A text, a number, a truth value, or a list of one of them.

    Raises:
        ProblemGoldError: As `econ_env.answers.read_gold`.
    """
    return read_bare_gold(unwrap(value))
