"""The policy acts within bounds, explores on schedule, and its game is what the critics say."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from hypothesis import given, settings
from hypothesis import strategies as st
from teams import SIZES, make_spec, observations, small
from tianshou.data import Batch

from econ_agents.equilibrium import EquilibriumConfig, best_response
from econ_agents.errors import TeamError
from econ_agents.policy import EconPolicy
from econ_agents.team_spec import TeamSpec
from econ_agents.testing import CoordinationEnv, QuadraticEnv


def make(n_agents: int = 3, seed: int = 0, **changes: Any) -> EconPolicy:
    torch.manual_seed(seed)
    return EconPolicy(make_spec(n_agents), small(**changes), seed=seed)


@pytest.mark.parametrize("n_agents", SIZES)
def test_actions_lie_in_the_environments_bounds(n_agents: int) -> None:
    policy = make(n_agents)
    with torch.no_grad():
        for parameter in policy.network.heads.parameters():
            parameter.mul_(1e4)
    batch: Any = Batch(obs=observations(policy.spec, 6).numpy(), info=Batch())
    act = policy.map_action(policy(batch).act.numpy())
    assert act.shape == (6, n_agents * 2)
    space = policy.spec.joint_action_space
    assert all(space.contains(row.astype(np.float32)) for row in act)
    # Saturated heads reach both ends of both controls.
    pairs = act.reshape(-1, 2)
    assert pairs.min(0) == pytest.approx([0.0, 1.0], abs=0.05)
    assert pairs.max(0) == pytest.approx([2.0, 1.5], abs=0.05)


def test_what_it_proposes_is_what_it_does() -> None:
    policy = make()
    obs_BND = observations(policy.spec, 4)
    batch: Any = Batch(obs=obs_BND.numpy(), info=Batch())
    with torch.no_grad():
        assert torch.equal(policy(batch).act.view(4, 3, 2), policy.propose(obs_BND))


def test_its_game_pays_each_deviation_what_the_network_expects_of_it() -> None:
    policy = make()
    net = policy.network
    obs_BND = observations(policy.spec, 2)
    profile_BNA = torch.rand(2, 3, 2) * 2 - 1
    candidates_BNMA = torch.rand(2, 3, 5, 2) * 2 - 1
    with torch.no_grad():
        found = policy.game(obs_BND).utilities(profile_BNA, candidates_BNMA)
        belief_BNH = net.belief(obs_BND)
        for n in range(3):
            for m in range(5):
                tried = profile_BNA.clone()
                tried[:, n] = candidates_BNMA[:, n, m]
                expected = net.values(belief_BNH, tried, pessimistic=True).total_B
                torch.testing.assert_close(found[:, n, m], expected)


def test_best_responses_in_its_game_gain() -> None:
    policy = make()
    game = policy.game(observations(policy.spec, 4))
    profile_BNA = torch.zeros(4, 3, 2)
    best = best_response(game, profile_BNA, EquilibriumConfig())
    with torch.no_grad():
        reached = game.utilities(profile_BNA, best.action_BNA[:, :, None]).squeeze(-1)
    torch.testing.assert_close(reached - best.utility_BN, best.gain_BN, atol=1e-5, rtol=1e-3)
    assert best.gain_BN.max() > 0


# Exploration ------------------------------------------------------------------------------------------------------


def explored(policy: EconPolicy, rows: int, start: float = 0.0) -> np.ndarray:
    act = np.full((rows, policy.spec.n_agents * 2), start, np.float32)
    noisy: np.ndarray = policy.add_exploration_noise(act, Batch(obs=np.zeros(rows)))  # type: ignore[arg-type]
    return noisy


def test_the_first_decisions_are_uniform_then_noise_falls_and_stays() -> None:
    plan = {"random_episodes": 2000, "noise_start": 0.2, "noise_end": 0.05, "noise_episodes": 4000}
    policy = make(exploration={**plan, "random_share": 0.0})
    first = explored(policy, 2000, start=0.9)
    assert first.mean() == pytest.approx(0.0, abs=0.03)
    assert first.std() == pytest.approx(1 / np.sqrt(3), abs=0.02)
    falling = explored(policy, 4000)
    assert falling[:200].std() == pytest.approx(0.2, rel=0.1)
    assert falling[1900:2100].std() == pytest.approx(0.125, rel=0.1)
    assert explored(policy, 2000).std() == pytest.approx(0.05, rel=0.05)
    assert policy.decisions == 8000


def test_a_share_of_agents_plays_at_random_also_later_on() -> None:
    plan = {"random_episodes": 0, "noise_start": 0.0, "noise_end": 0.0, "random_share": 0.25}
    noisy = explored(make(exploration=plan), 4000).reshape(4000, 3, 2)
    at_random = (noisy != 0).any(-1)
    assert at_random.mean() == pytest.approx(0.25, abs=0.02)
    assert at_random.any(1).mean() == pytest.approx(1 - 0.75**3, abs=0.03)  # each agent by itself


@settings(max_examples=20, deadline=None)
@given(start=st.floats(-1, 1), noise=st.floats(0, 5), seed=st.integers(0, 100))
def test_explored_controls_keep_their_bounds(start: float, noise: float, seed: int) -> None:
    policy = make(seed=seed, exploration={"random_episodes": 3, "noise_start": noise})
    noisy = explored(policy, 16, start)
    assert noisy.dtype == np.float32
    assert np.abs(noisy).max() <= 1.0


def test_exploration_is_decided_by_the_seed() -> None:
    assert np.array_equal(explored(make(seed=1), 9), explored(make(seed=1), 9))
    assert not np.array_equal(explored(make(seed=1), 9), explored(make(seed=2), 9))


# The team's shape -------------------------------------------------------------------------------------------------


def test_a_policy_says_what_does_not_fit() -> None:
    policy = make(3)
    policy.fits(make_spec(3))
    with pytest.raises(TeamError, match=r"acts for 3 agents, the environment has 4; .*n_agents=4"):
        policy.fits(make_spec(4))
    with pytest.raises(TeamError, match="observation parts question, commitment, agent_memory, counters, the environ"):
        policy.fits(make_spec(3, memory=False))
    with pytest.raises(TeamError, match="reward terms al, ts, cc, the environment has al, ts, cc, brevity; use those"):
        policy.fits(replace(make_spec(3), reward_terms=("al", "ts", "cc", "brevity")))
    with pytest.raises(TeamError, match=r"on controls in 0 to 2, .* has 0 to 3, 1 to 1\.5; use the bounds"):
        policy.fits(replace(make_spec(3), action_high=(3.0, 1.5)))


def test_the_shape_of_a_team_survives_json() -> None:
    spec = make_spec(5)
    assert TeamSpec.from_json(spec.to_json()) == spec


def test_shapes_are_read_from_an_environment() -> None:
    spec = TeamSpec.of(QuadraticEnv(n_agents=4, low=0.5, high=2.5))
    assert (spec.n_agents, spec.obs_dim, spec.action_dim) == (4, 7, 2)
    assert (spec.action_low, spec.action_high) == ((0.5, 0.5), (2.5, 2.5))
    assert spec.part("commitment") == (4, 6)
    assert spec.part("reply") is None
    assert spec.memory_shape == (0, 0)


class Uneven(CoordinationEnv):
    def action_space(self, agent: str) -> Box:
        return Box(-1, 1 if agent == "agent_0" else 2, (2,), np.float32)


class Unbounded(CoordinationEnv):
    def action_space(self, agent: str) -> Box:
        return Box(-np.inf, np.inf, (2,), np.float32)


@pytest.mark.parametrize(("env", "told"), [(Uneven(), "equal spaces"), (Unbounded(), "finite bounds")])
def test_environments_that_are_no_team_are_refused(env: Any, told: str) -> None:
    with pytest.raises(TeamError, match=told):
        TeamSpec.of(env)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"n_agents": 0}, "needs agents"),
        ({"action_high": (1.0,)}, "differ in length"),
        ({"layout": ()}, "names no part agent_memory"),
        ({"memory_shape": (3, 4)}, "agent_memory has 8 values"),
    ],
)
def test_contradictory_shapes_are_refused(changes: dict[str, Any], told: str) -> None:
    values = make_spec().to_json()
    with pytest.raises(TeamError, match=told):
        TeamSpec(**{**values, **changes})


@pytest.mark.slow
def test_making_a_policy_compiles_nothing() -> None:
    # Tianshou 2.0.1, algorithm_base.Policy.__init__: compiles return functions that our learner never calls (2 s).
    code = (
        "from tianshou.algorithm import algorithm_base as base\n"
        "from test_policy import make\n"
        "make()\n"
        "assert not base._gae.signatures and not base._nstep_return.signatures\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, check=True)
