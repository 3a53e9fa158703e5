"""What is offered to other people's tests does what it says."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from pettingzoo.test import parallel_api_test, parallel_seed_test

from econ_agents.testing import (
    AsyncQuadraticEnv,
    CoordinationEnv,
    QuadraticEnv,
    QuadraticGame,
    QuadraticPolicy,
    VolunteersEnv,
    biased_rock_paper_scissors,
    check_deliberates,
    mean_of_others,
)

torch.set_num_threads(1)
ENVS = [
    CoordinationEnv,
    lambda: CoordinationEnv(horizon=3, revealed_late=True),
    QuadraticEnv,
    AsyncQuadraticEnv,
    VolunteersEnv,
]


@pytest.mark.parametrize("make", ENVS)
def test_small_environments_are_sound(make: Any) -> None:
    parallel_api_test(make(), num_cycles=20)
    parallel_seed_test(make, num_cycles=5)


@pytest.mark.parametrize("make", ENVS)
def test_observations_lie_in_their_space_and_a_problem_is_always_the_same(make: Any) -> None:
    env, other = make(), pickle.loads(pickle.dumps(make()))
    for problem in range(20):
        obs, _ = env.reset(seed=problem, options={"problem": problem})
        again, _ = other.reset(options={"problem": problem})
        for agent in env.agents:
            assert env.observation_space(agent).contains(obs[agent])
            assert np.array_equal(obs[agent], again[agent])


def test_unseeded_resets_move_on() -> None:
    env = QuadraticEnv()
    first, _ = env.reset(seed=0)
    second, _ = env.reset()
    assert not np.array_equal(first["agent_0"], second["agent_0"])


@pytest.mark.parametrize("n_agents", [1, 2, 5])
def test_the_best_profile_of_coordination_is_paid_one(n_agents: int) -> None:
    env = CoordinationEnv(n_agents, low=1.0, high=3.0)
    env.reset(seed=0)
    actions = dict(zip(env.agents, env.best_profile() + 2.0, strict=True))
    _, rewards, *_ = env.step(actions)
    assert list(rewards.values()) == pytest.approx([1.0] * n_agents)


def test_late_revelation_hides_the_place_and_does_not_pay_for_guessing() -> None:
    env = CoordinationEnv(horizon=2, revealed_late=True)
    obs, _ = env.reset(seed=0)
    assert not obs["agent_0"][:2].any()
    actions = dict(zip(env.agents, env.best_profile(), strict=True))
    obs, rewards, *_ = env.step(actions)
    assert set(rewards.values()) == {0.0}
    assert obs["agent_0"][:2].any()
    _, rewards, ends, *_ = env.step(actions)
    assert list(rewards.values()) == pytest.approx([1.0] * 3)
    assert all(ends.values())


def test_the_equilibrium_of_the_quadratic_environment_is_paid_zero() -> None:
    env = QuadraticEnv(coupling=-0.7)
    env.reset(seed=1)
    target_NA = env.game.equilibrium_BNA[0].numpy()
    assert np.abs(target_NA).max() <= 0.8 + 1e-6
    _, rewards, *_ = env.step(dict(zip(env.agents, target_NA, strict=True)))
    assert list(rewards.values()) == pytest.approx([0.0] * 3, abs=1e-10)


def test_a_round_shows_the_others_mean() -> None:
    env = QuadraticEnv()
    env.reset(seed=0)
    actions = {agent: np.float32([0.1 * i, -0.2]) for i, agent in enumerate(env.agents)}
    obs, _ = env.deliberate(actions)
    assert obs["agent_0"][2:7] == pytest.approx([0.0, -0.2, 0.15, -0.2, 1 / 8])
    assert obs["agent_2"][4:6] == pytest.approx([0.05, -0.2])


def test_the_policy_reads_the_game_from_the_observation() -> None:
    env = QuadraticEnv(coupling=0.3)
    obs, _ = env.reset(seed=0)
    obs_BND = torch.as_tensor(np.stack(list(obs.values())))[None]
    policy = QuadraticPolicy(coupling=0.3, start=0.4)
    assert torch.equal(policy.game(obs_BND).centre_BNA, env.game.centre_BNA)
    assert torch.equal(policy.propose(obs_BND), torch.full((1, 3, 2), 0.4))


def test_mean_of_others() -> None:
    profile_BNA = torch.tensor([[[1.0], [2.0], [6.0]]])
    assert mean_of_others(profile_BNA).flatten().tolist() == [4.0, 3.5, 1.5]
    assert mean_of_others(profile_BNA[:, :1]).item() == 0.0


def test_quadratic_payoffs_by_hand() -> None:
    game = QuadraticGame(torch.tensor([[[0.1, 0.0], [0.2, 0.0]]]), coupling=0.5)
    profile_BNA = torch.tensor([[[0.4, 0.0], [0.6, 0.2]]])
    # Agent 0 wants 0.1 + 0.3 and 0.1; agent 1 wants 0.2 + 0.2 and 0.
    found = game.utilities(profile_BNA, torch.tensor([[[[0.4, 0.0], [0.4, 0.1]], [[0.6, 0.2], [0.4, 0.0]]]]))
    torch.testing.assert_close(found, torch.tensor([[[-0.01, 0.0], [-0.08, 0.0]]]))


def test_mixed_payoffs_by_hand() -> None:
    rock, paper = torch.tensor([1.0, -1.0, -1.0]), torch.tensor([-1.0, 1.0, -1.0])
    even = torch.full((3,), -1.0)
    found = biased_rock_paper_scissors().utilities(
        torch.stack([rock, paper])[None], torch.stack([torch.stack([rock, paper, even])] * 2)[None]
    )
    # Agent 0 against paper: -25, 0, 5 and their mean; agent 1 against rock: 0, 25, -50 and their mean.
    torch.testing.assert_close(found, torch.tensor([[[-25.0, 0.0, -20.0 / 3], [0.0, 25.0, -25.0 / 3]]]))


@pytest.mark.parametrize("env", [QuadraticEnv(), QuadraticEnv(horizon=2), AsyncQuadraticEnv()])
def test_environments_that_deliberate_pass_the_check(env: Any) -> None:
    check_deliberates(env)


class KeepsOutcome(QuadraticEnv):
    @property
    def last_outcome(self) -> Any:
        return super().last_outcome or ("old", False)


class Forgets(QuadraticEnv):
    last_outcome = None  # the fault to be found


class PaysEarly(QuadraticEnv):
    def deliberate(self, actions: Any) -> Any:
        return (*super().deliberate(actions), 1.0)


class LeavesOut(QuadraticEnv):
    def deliberate(self, actions: Any) -> Any:
        obs, infos = super().deliberate(actions)
        return {"agent_0": obs["agent_0"]}, infos


class Doubles(QuadraticEnv):
    def deliberate(self, actions: Any) -> Any:
        obs, infos = super().deliberate(actions)
        return {agent: row.astype(np.float64) for agent, row in obs.items()}, infos


class Ends(QuadraticEnv):
    def deliberate(self, actions: Any) -> Any:
        result = super().deliberate(actions)
        self.agents = []
        return result


class Reuses(QuadraticEnv):
    def deliberate(self, actions: Any) -> Any:
        obs, infos = super().deliberate(actions)
        if not hasattr(self, "kept"):
            self.kept = obs
        return self.kept, infos


class Numbers(QuadraticEnv):
    @property
    def last_outcome(self) -> Any:
        said = super().last_outcome
        return None if said is None else said._replace(answer=4)


class HalfAsync(QuadraticEnv):
    async def astep(self, actions: Any) -> Any:
        return self.step(actions)


class NotAsync(AsyncQuadraticEnv):
    def astep(self, actions: Any) -> Any:
        return self.step(actions)


@pytest.mark.parametrize(
    ("env", "told"),
    [
        (CoordinationEnv(), "add it"),
        (KeepsOutcome(), "clear it in reset"),
        (Forgets(), "set it in deliberate"),
        (PaysEarly(), "no rewards"),
        (LeavesOut(), "every agent an observation"),
        (Doubles(), "outside its observation space"),
        (Ends(), "no time passes"),
        (Reuses(), "fresh copies"),
        (Numbers(), "must be a str"),
        (HalfAsync(), "all three or none"),
        (NotAsync(), "async def"),
    ],
)
def test_the_check_finds_faults_and_says_how_to_mend_them(env: Any, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        check_deliberates(env)
