"""The generated problems: unique, repeatable, with right golds, and told apart by their wording."""

from __future__ import annotations

import re

import numpy as np
import pytest

from econ_env.embedding import HashEmbedder
from econ_env.errors import ConfigError
from econ_env.simulation.kind_problems import KINDS, known_optimum_problems


def test_problems_take_turns_and_are_unique_and_repeatable():
    problems = known_optimum_problems(600, kinds=3, seed=5)
    assert [problem.kind for problem in problems[:6]] == list(KINDS[:3]) * 2
    assert len({problem.question for problem in problems}) == len({problem.id for problem in problems}) == 600
    assert problems == known_optimum_problems(600, kinds=3, seed=5)
    assert problems[:40] != known_optimum_problems(40, kinds=3, seed=6)


@pytest.mark.parametrize(
    ("start", "solve"),
    [
        ("In a shop", lambda a, b, c: a * b - c),
        ("At the market", lambda a, b, c: a * b + c),
        ("Let f(x)", lambda a, b, c: a * c + b),
        ("Compute the value", lambda a, b, c: a * (c + b)),
        ("A night train", lambda a, b, c: a * b + c),
        ("A ferry", lambda a, b, c: a * b * c),
        ("A rectangle has", lambda a, b, c: a * b + c * c),
        ("What is the perimeter", lambda a, b, c: 2 * (a * b + c)),
        ("A recipe", lambda a, b, c: (a + b) * c),
        (r"\w+ cooks soup", lambda a, b, c: a * b - c),
        (r"\w+ is \d+ years", lambda a, b, c: a + c + a + b + c),
        (r"\w+ planted a tree", lambda a, b, c: a + b + c),
    ],
)
def test_golds_follow_from_the_numbers_in_the_order_of_the_text(start, solve):
    pattern = start if start.startswith("\\") else re.escape(start)
    found = [p for p in known_optimum_problems(240, kinds=6) if re.match(pattern, p.question)]
    assert found
    for problem in found:
        numbers = [int(number) for number in re.findall(r"\d+", problem.question)]
        assert problem.answer == str(solve(*numbers)), problem.question


def test_the_wording_tells_the_kind_by_the_nearest_question():
    problems = known_optimum_problems(240, kinds=6)
    rows = np.asarray(HashEmbedder(256).encode([problem.question for problem in problems]))
    nearest = (rows[120:] @ rows[:120].T).argmax(axis=1)
    assert all(problems[120 + i].kind == problems[j].kind for i, j in enumerate(nearest))


def test_what_there_is_not_is_refused():
    with pytest.raises(ConfigError, match="kinds"):
        known_optimum_problems(10, kinds=7)
    with pytest.raises(ConfigError, match="n must be"):
        known_optimum_problems(10_001, kinds=2)
