"""The two searches for fixed controls, on scores that are known."""

from __future__ import annotations

import asyncio
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.app.compare import search
from econ_env.errors import ConfigError

START = np.array([[0.3, 0.0], [0.3, 0.0], [0.3, 0.0]])


class Scores:
    """Scores plays by a function of the profile and the number of the play; keeps the batches."""

    def __init__(self, function):
        self.function, self.batches = function, []

    async def __call__(self, plays):
        first = sum(map(len, self.batches))
        self.batches.append(list(plays))
        return [self.function(play.profile, first + place) for place, play in enumerate(plays)]

    @property
    def plays(self):
        return [play for batch in self.batches for play in batch]


# CMA-ES ----------------------------------------------------------------------------------------------------------


def found_by_cma(scores, plays, start=START, seed=0):
    pytest.importorskip("cmaes")
    return asyncio.run(search.cma_es(start, plays, seed, scores))


def near(profile, _):
    return 1.0 - float(np.mean((profile - [[0.8, 0.6], [0.5, 0.4], [0.2, 0.7]]) ** 2))


def test_cma_es_finds_each_executors_optimum():
    found = found_by_cma(Scores(near), 900)
    assert found == pytest.approx(np.array([[0.8, 0.6], [0.5, 0.4], [0.2, 0.7]]), abs=0.08)


def test_the_same_seed_searches_alike_and_another_one_does_not():
    first, second, third = (found_by_cma(Scores(near), 90, seed=seed) for seed in (1, 1, 2))
    assert (first == second).all()
    assert (first != third).any()


def test_candidates_of_a_generation_play_the_same_problems_and_no_problem_comes_back():
    scores = Scores(near)
    found_by_cma(scores, 400)
    planned = search.plan(6, 400)
    assert (planned.candidates, planned.each) == (9, 2)
    assert len(scores.plays) == planned.plays <= 400
    seen: set[int] = set()
    for batch in scores.batches:
        problems = Counter(play.problem for play in batch)
        assert set(problems.values()) == {9}
        assert not seen & set(problems)
        seen |= set(problems)
    assert max(seen) < 400
    assert all(((play.profile >= 0) & (play.profile <= 1)).all() for play in scores.plays)


@pytest.mark.parametrize("score", [0.0, None])
def test_scores_that_say_nothing_leave_the_start_where_it_is(score):
    found = found_by_cma(Scores(lambda *_: score), 90)
    assert found == pytest.approx(np.clip(START, search.MARGIN, 1 - search.MARGIN))


@given(st.integers(1, 40), st.integers(1, 5000))
def test_a_plan_spends_no_more_than_it_has(dimension, plays):
    planned = search.plan(dimension, plays)
    assert planned.plays <= plays
    assert planned.generations == 0 or plays - planned.plays < planned.candidates * planned.each
    assert planned.each == 1 or planned.generations >= search.GENERATIONS


# UCB1 --------------------------------------------------------------------------------------------------------------


def test_the_grid_has_equal_controls_for_all_and_keeps_further_ones():
    arms = search.grid(np.array([[0.3, 0.0, 0.7], [0.3, 0.0, 0.2]]))
    assert len(arms) == math.prod(search.LEVELS) == 12
    pairs = {tuple(arm[0, :2]) for arm in arms}
    assert pairs == {(t, p) for t in np.linspace(0, 1, 4) for p in (0.0, 0.5, 1.0)}
    assert all((arm[0, :2] == arm[1, :2]).all() for arm in arms)
    assert all(arm[:, 2].tolist() == [0.7, 0.2] for arm in arms)


def test_the_most_promising_arm_by_hand():
    assert search._most_promising([1, 0, 0], [[1.0], [], []]) == 1
    # 0.5 + sqrt(2 ln 11 / 10) = 1.19 against 0 + sqrt(2 ln 11) = 2.19
    assert search._most_promising([10, 1], [[1.0, 0.0] * 5, [0.0]]) == 1
    # 1 + sqrt(2 ln 20 / 10) = 1.77 against 0.2 + 0.77
    assert search._most_promising([10, 10], [[1.0] * 10, [0.0] * 8 + [1.0] * 2]) == 0


def test_the_bandit_plays_every_arm_and_the_best_one_most():
    arms = search.grid(START)
    chances = [0.2] * 12
    chances[7] = 0.9
    rng = np.random.default_rng(3)
    scores = Scores(lambda profile, _: float(rng.random() < chances[_arm(arms, profile)]))
    found = asyncio.run(search.ucb1(arms, 300, scores))
    counts = Counter(_arm(arms, play.profile) for play in scores.plays)
    assert (found == arms[7]).all()
    assert set(counts) == set(range(12))
    assert counts.most_common(1)[0][0] == 7
    assert [play.problem for play in scores.plays] == list(range(300))
    assert {len(batch) for batch in scores.batches[:-1]} == {search.BATCH}


def test_failed_plays_count_for_nothing():
    arms = search.grid(START)[:3]
    # the first arm works at every second play only, and is right then; the others are always wrong
    scores = Scores(lambda profile, number: 0.0 if _arm(arms, profile) else (1.0 if number % 2 else None))
    found = asyncio.run(search.ucb1(arms, 80, scores))
    assert (found == arms[0]).all()


def _arm(arms, profile):
    return next(number for number, arm in enumerate(arms) if (arm == profile).all())


# Too few plays ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("base", "least"), [("cma_es", 9), ("bandit", 12)])
def test_too_few_plays_are_refused_with_what_is_enough(base, least):
    search.check_plays(base, (3, 2), least)
    with pytest.raises(ConfigError, match=f"{base} plays each of {least} controls .* --fit {least}$"):
        search.check_plays(base, (3, 2), least - 1)
