"""Makes word problems of several kinds; kinds differ in wording, so a question's embedding reveals its kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from econ_env.errors import ConfigError
from econ_env.records import Problem

SOURCE = "known-optimum"
MAX_PER_KIND = 5000
_NAMES = ("Mara", "Tomas", "Aiko", "Leila", "Jonas", "Priya", "Samuel", "Irene")


class _Form(NamedTuple):
    """One way to ask; filled with a name and the numbers a, b in 3..40 and c in 2..9."""

    text: str
    solve: Callable[[int, int, int], int]


_FORMS: dict[str, tuple[_Form, ...]] = {
    "shop": (
        _Form(
            "In a shop, {name} buys {a} boxes with {b} pencils each and gives {c} pencils to a friend. How many "
            "pencils does {name} keep?",
            lambda a, b, c: a * b - c,
        ),
        _Form(
            "At the market, {name} sells {a} bags with {b} apples each, and {c} loose apples. How many apples does "
            "{name} sell?",
            lambda a, b, c: a * b + c,
        ),
    ),
    "algebra": (
        _Form("Let f(x) = {a}x + {b}. Evaluate f({c}).", lambda a, b, c: a * c + b),
        _Form("Compute the value of the expression {a}(y + {c}) for y = {b}.", lambda a, b, c: a * (b + c)),
    ),
    "travel": (
        _Form(
            "A night train rolls at {a} kilometres per hour for {c} hours and then another {b} kilometres to the "
            "border. How long is its journey in kilometres?",
            lambda a, b, c: a * c + b,
        ),
        _Form(
            "A ferry crosses the strait {c} times on each of {a} days; every crossing is {b} kilometres long. How many "
            "kilometres does it sail?",
            lambda a, b, c: a * b * c,
        ),
    ),
    "geometry": (
        _Form(
            "A rectangle has sides of length {a} and {b}. A square with side {c} is glued to its edge. What is the "
            "area of the whole figure?",
            lambda a, b, c: a * b + c * c,
        ),
        _Form(
            "What is the perimeter of a rectangle whose sides are {c} times {a} and {b}?",
            lambda a, b, c: 2 * (a * c + b),
        ),
    ),
    "kitchen": (
        _Form(
            "A recipe for one cake takes {a} grams of butter and {b} grams of flour. {name} bakes {c} such cakes. How "
            "many grams of butter and flour go into the oven?",
            lambda a, b, c: c * (a + b),
        ),
        _Form(
            "{name} cooks soup for {a} guests, {b} spoons for each, and spills {c} spoons. How many spoons of soup are "
            "served?",
            lambda a, b, c: a * b - c,
        ),
    ),
    "age": (
        _Form(
            "{name} is {a} years old, and the neighbour is {b} years older. What is the sum of their ages "
            "in {c} years?",
            lambda a, b, c: 2 * a + b + 2 * c,
        ),
        _Form(
            "{name} planted a tree at the age of {a}. The tree is {b} years old now. How old will {name} be "
            "in {c} years?",
            lambda a, b, c: a + b + c,
        ),
    ),
}

KINDS = tuple(_FORMS)
"""Names of the kinds, in the order in which they are used."""


def known_optimum_problems(n: int, kinds: int = 2, seed: int = 0) -> tuple[Problem, ...]:
    """Make problems of several kinds, which take turns; no two have the same question.

    Args:
        n: How many; at most 5,000 per kind.
        kinds: How many kinds, 1 to 6; the first ones of `KINDS`.
        seed: Which problems. Sets of different seeds may share some questions, with the same answers.

    Raises:
        ConfigError: There are not that many kinds or problems.
    """
    if not 1 <= kinds <= len(KINDS):
        raise ConfigError(f"kinds must be 1 to {len(KINDS)}, got {kinds}")
    if not 1 <= n <= kinds * MAX_PER_KIND:
        raise ConfigError(f"n must be 1 to {kinds * MAX_PER_KIND} for {kinds} kinds, got {n}")
    rng = np.random.default_rng(seed)
    problems: list[Problem] = []
    seen: set[str] = set()
    while len(problems) < n:
        kind = KINDS[len(problems) % kinds]
        form = _FORMS[kind][int(rng.integers(len(_FORMS[kind])))]
        name = _NAMES[int(rng.integers(len(_NAMES)))]
        a, b = (int(number) for number in rng.integers(3, 41, size=2))
        c = int(rng.integers(2, 10))
        question = form.text.format(name=name, a=a, b=b, c=c)
        if question not in seen:
            seen.add(question)
            answer = str(form.solve(a, b, c))
            problems.append(Problem(question, answer, f"{SOURCE}-{len(problems):05d}", source=SOURCE, kind=kind))
    return tuple(problems)
