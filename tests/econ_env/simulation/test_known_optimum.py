"""The known-optimum task: its numbers against hand calculations, other methods, and the simulated team itself."""

from __future__ import annotations

import asyncio
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from econ_env.answers import judge
from econ_env.config import SamplingConfig
from econ_env.errors import ConfigError
from econ_env.llm.protocol import ChatRequest
from econ_env.llm.seeding import derive_seed
from econ_env.simulation.landscape import Landscape
from econ_env.simulation.optimum import KnownOptimum, known_optimum
from econ_env.team.prompts import DEFAULT_PROMPTS

TASK = known_optimum(n_problems=40)
COUPLED = known_optimum(n_problems=40, coupling=0.8)
PEAKS = {kind: TASK.landscape.peak_of(kind) for kind in TASK.kind_shares}
controls = st.tuples(st.floats(0.1, 2.0), st.floats(1.0, 1.5))
profiles = st.lists(controls, min_size=3, max_size=3).map(np.array)


def all_at(place) -> np.ndarray:
    return np.tile(place, (3, 1))


# The numbers


def test_the_standard_task_has_the_stated_numbers():
    q = 0.93
    best = q**3 + 3 * q**2 * (1 - q) + 3 * q * (1 - q) ** 2 * 2 / 9
    assert TASK.oracle.accuracy == pytest.approx(best)
    assert best == pytest.approx(0.989, abs=5e-4)
    assert TASK.best_fixed.accuracy == pytest.approx(0.502, abs=5e-4)
    assert TASK.best_fixed_profile.accuracy == pytest.approx(0.567, abs=5e-4)
    assert TASK.random_control == pytest.approx(0.243, abs=5e-4)
    for kind, profile in TASK.oracle.profiles.items():
        assert profile == pytest.approx(all_at(PEAKS[kind]))


@settings(max_examples=60, deadline=None)
@given(profiles, profiles)
def test_nothing_beats_the_oracle_nor_the_best_fixed_among_the_fixed(first, second):
    for task in (TASK, COUPLED):
        kinds = list(task.kind_shares)
        assert task.accuracy(dict(zip(kinds, (first, second), strict=True))) <= task.oracle.accuracy + 1e-9
        assert task.accuracy(dict.fromkeys(kinds, first)) <= task.best_fixed_profile.accuracy + 1e-9
        assert task.accuracy(dict.fromkeys(kinds, all_at(first[0]))) <= task.best_fixed.accuracy + 1e-9


@pytest.mark.parametrize("task", [TASK, COUPLED])
def test_the_numbers_are_in_order_and_those_of_their_profiles(task):
    assert task.random_control < task.best_fixed.accuracy < task.best_fixed_profile.accuracy < task.oracle.accuracy
    for optimum in (task.best_fixed, task.best_fixed_profile, task.oracle):
        assert optimum.accuracy == pytest.approx(task.accuracy(optimum.profiles))
    assert len(np.unique(task.best_fixed.profiles["shop"], axis=0)) == 1


@pytest.mark.parametrize("task", [TASK, COUPLED])
def test_random_control_against_plain_sampling(task):
    n = 8_000
    low, high = task.landscape.bounds
    drawn = np.random.default_rng(0).uniform(low, high, size=(n, 3, 2))
    values = [task.team_accuracy(kind, drawn) for kind in task.kind_shares]
    mean = np.mean(values)
    assert task.random_control == pytest.approx(mean, abs=4 * np.std(values) / math.sqrt(n))


def test_shares_of_kinds_weigh_the_numbers():
    shop = [problem for problem in TASK.problems if problem.kind == "shop"]
    other = [problem for problem in TASK.problems if problem.kind != "shop"]
    uneven = KnownOptimum(shop + other[:4], TASK.landscape)
    assert uneven.kind_shares == pytest.approx({"shop": 20 / 24, "algebra": 4 / 24})
    assert uneven.best_fixed.profiles["shop"][0] == pytest.approx(PEAKS["shop"], abs=0.01)
    assert uneven.best_fixed.accuracy > 0.8


def test_other_bounds_move_the_task_with_them():
    task = known_optimum(n_problems=10, sampling=SamplingConfig(second_action="top_p"))
    assert task.oracle.accuracy == pytest.approx(TASK.oracle.accuracy)
    assert task.best_fixed.accuracy == pytest.approx(0.5, abs=0.01)
    assert all(0.1 <= profile[0, 1] <= 0.9 for profile in task.oracle.profiles.values())


@pytest.mark.parametrize("n_agents", [1, 2, 8])
def test_other_team_sizes(n_agents):
    task = known_optimum(n_problems=10, n_agents=n_agents)
    assert task.oracle.profiles["shop"].shape == (n_agents, 2)
    if n_agents < 3:  # two voters that disagree draw a lot, so they are worth one
        assert task.oracle.accuracy == pytest.approx(0.93)
    else:
        assert task.oracle.accuracy > 0.999
    assert task.random_control < task.oracle.accuracy


# Coupling and the gap


def test_coupled_executors_must_spread_out():
    together = {kind: all_at(peak) for kind, peak in PEAKS.items()}
    assert COUPLED.accuracy(together) < TASK.accuracy(together) - 0.03
    assert COUPLED.oracle.accuracy > COUPLED.accuracy(together) + 0.02
    for kind, profile in COUPLED.oracle.profiles.items():
        apart = (profile[:, None] - profile[None]) / COUPLED.landscape.widths
        assert np.linalg.norm(apart, axis=-1)[np.triu_indices(3, 1)].min() > 0.2
        assert profile.mean(axis=0) == pytest.approx(PEAKS[kind], abs=0.02)


@pytest.mark.parametrize("task", [TASK, COUPLED])
def test_the_oracle_is_an_equilibrium(task):
    for kind, profile in task.oracle.profiles.items():
        assert task.true_gap(kind, profile).team_gap < 1e-6


def test_the_gap_by_hand():
    # Two at the peak, the third at the floor: it alone gains, and what it gains is known.
    floor = float(TASK.chance("shop", PEAKS["algebra"]))
    profile = np.array([PEAKS["shop"], PEAKS["shop"], PEAKS["algebra"]])
    q = 0.93
    slope = q**2 * 0 + 2 * q * (1 - q) * (1 - 2 / 9) + (1 - q) ** 2 * 2 / 9
    gains = TASK.true_gap("shop", profile)
    assert gains.team == pytest.approx([0, 0, (q - floor) * slope], abs=1e-6)
    assert gains.own == pytest.approx([0, 0, q - floor])
    assert gains.own_gap == pytest.approx(q - floor)
    assert COUPLED.true_gap("shop", all_at(PEAKS["shop"])).team_gap > 0.01


@settings(max_examples=5, deadline=None)
@given(profiles, controls, st.integers(0, 2))
def test_no_single_deviation_gains_more_than_the_gap(profile, place, agent):
    changed = profile.copy()
    changed[agent] = place
    gain = COUPLED.team_accuracy("shop", changed) - COUPLED.team_accuracy("shop", profile)
    assert gain <= COUPLED.true_gap("shop", profile).team[agent] + 2e-3


def test_payoffs_mix_team_and_own():
    batch = np.stack([all_at(PEAKS["shop"]), np.array([PEAKS["shop"], PEAKS["algebra"], (1.0, 1.2)])])
    team, own = TASK.team_accuracy("shop", batch), TASK.chance("shop", batch)
    assert TASK.payoff("shop", batch).shape == (2, 3)
    assert TASK.payoff("shop", batch) == pytest.approx(np.repeat(team[:, None], 3, axis=1))
    assert TASK.payoff("shop", batch, own_weight=1.0) == pytest.approx(own)
    assert TASK.payoff("shop", batch, own_weight=0.25) == pytest.approx(0.75 * team[:, None] + 0.25 * own)


# The team itself


def play(task: KnownOptimum, n: int, profile) -> float:
    """Share of rounds in which the simulated team commits to the gold answer, asked like an environment asks."""

    async def one_round(number: int) -> bool:
        problem = task.problems[2 * (number % (len(task.problems) // 2))]
        seed = derive_seed("round", number)
        replies = []
        for index, (t, p) in enumerate(profile):
            messages = DEFAULT_PROMPTS.executor(problem.question, None, None, "text")
            request = ChatRequest(messages, "", t, p, 0.9, 256, seed, index)
            replies.append((await task.llm.complete(request)).text)
        messages = DEFAULT_PROMPTS.commitment(problem.question, replies, "text")
        request = ChatRequest(messages, "", 0.1, 1.0, 0.9, 192, derive_seed(seed, "commitment"))
        return judge((await task.llm.complete(request)).text, problem.answer).correct

    async def all_rounds() -> float:
        return float(np.mean([await one_round(number) for number in range(n)]))

    return asyncio.run(all_rounds())


@pytest.mark.slow
@pytest.mark.parametrize("task", [TASK, COUPLED])
@pytest.mark.parametrize("profile", [[(0.9, 1.2)] * 3, [(0.7, 1.15), (0.75, 1.16), (1.0, 1.25)]])
def test_the_team_is_as_accurate_as_computed(task, profile):
    n = 800
    expected = float(task.team_accuracy("shop", profile))
    assert abs(play(task, n, profile) - expected) < 4 * math.sqrt(expected * (1 - expected) / n)


def test_the_task_can_be_pickled():
    copy = pickle.loads(pickle.dumps(COUPLED))
    assert copy.problems == COUPLED.problems
    assert copy.landscape == COUPLED.landscape
    assert copy.oracle.accuracy == COUPLED.oracle.accuracy


def test_a_task_needs_problems():
    with pytest.raises(ConfigError, match="at least one problem"):
        KnownOptimum([], Landscape())
