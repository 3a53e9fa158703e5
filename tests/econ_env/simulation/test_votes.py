"""The law of the vote: against hand calculations, enumeration, closed forms and another integration."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binom, multivariate_normal

from econ_env.simulation.votes import _sampled_counts, coupled_counts, independent_counts, win_chance


def test_win_chance_by_hand():
    # One right and two wrong of three: lost if the wrong ones agree (1/W), else a lot among three.
    assert win_chance(3, 3) == pytest.approx((0, (1 - 1 / 3) / 3, 1, 1))
    assert win_chance(3, 1) == (0, 0, 1, 1)
    assert win_chance(1, 3) == (0, 1)
    assert win_chance(2, 3) == (0, 0.5, 1)


@pytest.mark.parametrize(("voters", "wrong"), [(3, 2), (4, 3), (5, 2), (6, 3)])
def test_win_chance_against_every_way_to_vote(voters, wrong):
    for right in range(voters + 1):
        won = []
        for errors in itertools.product(range(1, wrong + 1), repeat=voters - right):
            counts = Counter([0] * right + list(errors))
            top = [answer for answer, count in counts.items() if count == max(counts.values())]
            won.append((0 in top) / len(top))
        assert win_chance(voters, wrong)[right] == pytest.approx(np.mean(won))


def test_independent_counts_are_binomial_for_equal_chances_and_right_by_hand_for_others():
    law = independent_counts(np.full((2, 5), 0.3))
    assert law == pytest.approx(np.tile(binom.pmf(range(6), 5, 0.3), (2, 1)))
    a, b = 0.9, 0.2
    assert independent_counts(np.array([a, b])) == pytest.approx([0.1 * 0.8, 0.9 * 0.8 + 0.1 * 0.2, a * b])


def test_coupled_even_chances_have_a_closed_form():
    rho = np.array([[1.0, 0.8, 0.3], [0.8, 1.0, 0.5], [0.3, 0.5, 1.0]])
    turn = np.arcsin(rho)
    two = coupled_counts(np.full(2, 0.5), rho[:2, :2])[2]
    three = coupled_counts(np.full(3, 0.5), rho)[3]
    assert two == pytest.approx(1 / 4 + turn[0, 1] / (2 * math.pi), abs=1e-10)
    assert three == pytest.approx(1 / 8 + (turn[0, 1] + turn[0, 2] + turn[1, 2]) / (4 * math.pi), abs=1e-10)


@pytest.mark.parametrize("rho", [0.2, 0.8, 0.95])
def test_coupled_counts_against_other_integrations(rho):
    chances = np.array([0.93, 0.6, 0.25])
    correlation = np.array([[1, rho, 0.9 * rho], [rho, 1, 0.8 * rho], [0.9 * rho, 0.8 * rho, 1]])
    law = coupled_counts(chances, correlation)
    all_right = multivariate_normal.cdf(ndtri(chances), cov=correlation, abseps=1e-9, releps=1e-9, maxpts=10**6)
    assert law[3] == pytest.approx(all_right, abs=1e-7)
    assert law.sum() == pytest.approx(1)
    assert law @ np.arange(4) == pytest.approx(chances.sum())
    assert _sampled_counts(chances, correlation) == pytest.approx(law, abs=2e-3)


@pytest.mark.parametrize("voters", [1, 2, 3, 5])
def test_uncorrelated_voters_are_independent(voters):
    chances = np.linspace(0.1, 1.0, voters)
    law = coupled_counts(chances, np.eye(voters))
    assert law == pytest.approx(independent_counts(chances), abs=1e-3 if voters > 3 else 1e-9)
