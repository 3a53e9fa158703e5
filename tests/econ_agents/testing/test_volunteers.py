"""The volunteer's dilemma against closed forms, and its environment against the game."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from econ_agents.equilibrium import EquilibriumConfig, best_response
from econ_agents.joint_env import JointEnv
from econ_agents.testing import VolunteersDilemma, VolunteersEnv, check_deliberates

torch.set_num_threads(1)
quick = settings(max_examples=40, deadline=None)
agents = st.integers(2, 7)
benefits = st.floats(0.2, 20.0)
shares = st.floats(0.02, 0.98)
"""Costs as a share of the benefit."""


def gap(game: VolunteersDilemma, profile_N1: Tensor) -> float:
    return best_response(game, profile_N1[None], EquilibriumConfig()).nash_conv_B.item()


def gap_by_hand(game: VolunteersDilemma, chance_N: list[float]) -> float:
    """Volunteering is worth b prod_{j != i} q_j - c_i; who gains by it would do it surely, who loses never."""
    total = 0.0
    for agent, chance in enumerate(chance_N):
        others = float(np.prod([1.0 - other for place, other in enumerate(chance_N) if place != agent]))
        worth = game.benefit * others - game.costs_N[agent].item()
        total += worth * (1.0 - chance) if worth > 0 else -worth * chance
    return total


@quick
@given(agents, benefits, shares)
def test_equal_agents_mix_as_diekmann_says_and_nobody_gains(n: int, benefit: float, share: float) -> None:
    game = VolunteersDilemma([share * benefit] * n, benefit)
    mixed_N1 = game.mixed_equilibrium()
    assert mixed_N1 is not None
    silent = share ** (1.0 / (n - 1))
    torch.testing.assert_close(mixed_N1, torch.full((n, 1), 1.0 - 2.0 * silent, dtype=torch.float64))
    assert gap(game, mixed_N1) < 1e-9 * benefit
    # Each then earns as much as by volunteering: b - c.
    earned = game.utilities(mixed_N1[None], mixed_N1[None, :, None])
    torch.testing.assert_close(earned, torch.full_like(earned, benefit * (1.0 - share)))


@quick
@given(st.lists(shares, min_size=2, max_size=6), benefits, st.data())
def test_one_volunteer_is_an_equilibrium_whoever_it_is(costs: list[float], benefit: float, data: st.DataObject) -> None:
    game = VolunteersDilemma([share * benefit for share in costs], benefit)
    for agent in range(len(costs)):
        assert gap(game, game.single_volunteer(agent)) == 0.0
    nobody_N1 = torch.full((len(costs), 1), -1.0, dtype=torch.float64)
    assert gap(game, nobody_N1) == pytest.approx(sum(benefit * (1.0 - share) for share in costs))
    two = data.draw(st.sampled_from(list(combinations(range(len(costs)), 2))))
    both_N1 = nobody_N1.clone()
    both_N1[list(two)] = 1.0
    assert gap(game, both_N1) == pytest.approx(sum(benefit * costs[agent] for agent in two))


@quick
@given(st.lists(st.tuples(shares, st.floats(0.0, 1.0)), min_size=1, max_size=6), benefits)
def test_elsewhere_the_gap_is_that_of_the_closed_form(both: list[tuple[float, float]], benefit: float) -> None:
    game = VolunteersDilemma([share * benefit for share, _ in both], benefit)
    chance_N = [chance for _, chance in both]
    profile_N1 = 2.0 * torch.tensor(chance_N, dtype=torch.float64)[:, None] - 1.0
    assert gap(game, profile_N1) == pytest.approx(gap_by_hand(game, chance_N), rel=1e-6, abs=1e-9 * benefit)


def test_two_agents_of_different_cost_by_hand() -> None:
    # Each is silent with the chance that makes the other indifferent: q_0 = c_1 / b, q_1 = c_0 / b.
    mixed_N1 = VolunteersDilemma([0.2, 0.5], 1.0).mixed_equilibrium()
    assert mixed_N1 is not None
    assert (1.0 - mixed_N1.flatten()).div(2.0).tolist() == pytest.approx([0.5, 0.2])


@quick
@given(shares, shares, st.integers(1, 3), st.integers(1, 3), benefits)
def test_two_cost_types_have_the_mixed_equilibria_of_the_closed_form(
    low: float, high: float, cheap: int, dear: int, benefit: float
) -> None:
    assume(low < high - 1e-6)
    game = VolunteersDilemma([low * benefit] * cheap + [high * benefit] * dear, benefit)
    n = cheap + dear
    for size in range(2, n + 1):
        for mixing in combinations(range(n), size):
            cheap_in, dear_in = sum(agent < cheap for agent in mixing), sum(agent >= cheap for agent in mixing)
            nobody = (low**cheap_in * high**dear_in) ** (1.0 / (size - 1))
            # Chances of silence are nobody / share, and the cheapest that mixes is the likeliest to be silent.
            least_mixing = low if cheap_in else high
            least_silent = low if cheap_in < cheap else high if dear_in < dear else 1.0
            assume(abs(nobody - least_mixing) > 1e-9)
            assume(abs(nobody - least_silent) > 1e-9)
            found = game.mixed_equilibrium(mixing)
            assert (found is None) == (nobody > least_mixing or nobody > least_silent)
            if found is not None:
                chance_N = ((1.0 + found.flatten()) / 2.0).tolist()
                inside = {agent for agent, chance in enumerate(chance_N) if chance > 0}
                assert inside == set(mixing)
                assert gap(game, found) < 1e-8 * benefit
                expected = [1.0 - nobody / (low if agent < cheap else high) for agent in mixing]
                assert [chance_N[agent] for agent in mixing] == pytest.approx(expected)


def test_the_dearer_agent_volunteers_more_often_and_a_much_cheaper_one_can_not_mix() -> None:
    mixed_N1 = VolunteersDilemma([0.4, 0.4, 0.5]).mixed_equilibrium()
    assert mixed_N1 is not None
    assert mixed_N1[2] > mixed_N1[0] == mixed_N1[1]
    assert VolunteersDilemma([0.05, 0.8, 0.8]).mixed_equilibrium() is None


# The environment -----------------------------------------------------------------------------------------------------


def played(env: VolunteersEnv, actions: list[float], problem: int = 0) -> tuple[list[float], dict[str, Any]]:
    env.reset(options={"problem": problem})
    _, rewards, _, _, infos = env.step({a: np.float32([x]) for a, x in zip(env.possible_agents, actions, strict=True)})
    return list(rewards.values()), infos


def test_it_deliberates_as_it_should() -> None:
    check_deliberates(VolunteersEnv())


def test_agents_volunteer_above_zero_and_are_paid_as_in_the_game() -> None:
    assert played(VolunteersEnv(), [0.01, -1.0, 0.0])[0] == pytest.approx([0.6, 1.0, 1.0])
    assert played(VolunteersEnv(), [1.0, 0.5, -0.5])[0] == pytest.approx([0.6, 0.6, 1.0])
    assert played(VolunteersEnv(), [-1.0, -0.1, 0.0])[0] == [0.0, 0.0, 0.0]
    rewards, infos = played(VolunteersEnv(credit="team"), [0.01, -1.0, 0.0])
    assert rewards == pytest.approx([2.6 / 3] * 3)
    assert infos["agent_0"]["team_reward"] == pytest.approx(2.6 / 3)


def test_costs_are_dealt_by_the_problem_and_shown_to_their_agent_alone() -> None:
    env = VolunteersEnv((0.2, 0.6, 1.2), benefit=2.0)
    deals = set()
    for problem in range(20):
        obs, _ = env.reset(options={"problem": problem})
        costs = [2.0 * float(row[0]) for row in obs.values()]
        assert costs == pytest.approx(env.game.costs_N.tolist())
        assert sorted(costs) == pytest.approx([0.2, 0.6, 1.2])
        deals.add(tuple(np.round(costs, 3)))
    assert len(deals) == 6


@pytest.mark.parametrize("costs", [(0.4, 0.4, 0.4), (0.2, 0.6, 0.6), (1.5, 1.5, 1.5), (4.0, 4.0, 4.0)])
def test_the_best_payoff_is_that_of_the_best_pure_profile(costs: tuple[float, ...]) -> None:
    env = VolunteersEnv(costs)
    found = []
    for bits in range(8):
        rewards, _ = played(env, [1.0 if bits >> agent & 1 else -1.0 for agent in range(3)])
        found.append(np.mean(rewards))
    assert env.best_payoff == pytest.approx(max(found))


def test_a_round_shows_who_volunteered() -> None:
    env = VolunteersEnv()
    env.reset(seed=0)
    obs, _ = env.deliberate({"agent_0": np.float32([0.5]), "agent_1": np.float32([-0.5]), "agent_2": np.float32([0.2])})
    assert env.last_outcome is not None
    assert env.last_outcome.answer == "0, 2"
    assert obs["agent_0"] == pytest.approx([0.4, 0.5, 0.5, 1 / 8])
    assert obs["agent_1"] == pytest.approx([0.4, -0.5, 1.0, 1 / 8])
    env.deliberate({agent: np.float32([-1.0]) for agent in env.agents})
    assert env.last_outcome.answer == "nobody"


def test_it_is_a_team_with_one_control() -> None:
    team = JointEnv(VolunteersEnv((0.4,) * 5)).team
    assert (team.n_agents, team.obs_dim, team.action_dim) == (5, 4, 1)
