"""The joint view: its spaces, what it passes on, and what it refuses."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.utils.env_checker import check_env

from econ_agents.errors import TeamError
from econ_agents.joint_env import JointEnv, as_joint
from econ_agents.testing import AsyncQuadraticEnv, CoordinationEnv, QuadraticEnv

torch.set_num_threads(1)


class RewardTerms(CoordinationEnv):
    """Tells all the numbers that a team of language models tells."""

    reward_weights = (0.4, 0.4, 0.2)

    def _info(self, rewards: list[float]) -> dict[str, Any]:
        team = {"team_reward": 0.25, "team_al": 0.1, "team_ts": 0.2, "team_cc": 0.3, "failed": 0.0, "rounds": 2.0}
        return {**team, "reward_al": 0.5, "reward_ts": 1.0, "reward_cc": 0.0, "valid": 1.0, "note": "text", "other": 3}


@pytest.mark.parametrize(
    "env", [CoordinationEnv(), QuadraticEnv(horizon=2), RewardTerms(), CoordinationEnv(n_agents=1)]
)
def test_it_is_a_sound_gymnasium_environment(env: Any) -> None:
    check_env(JointEnv(env), skip_render_check=True)


def test_observations_are_stacked_and_actions_flat() -> None:
    env = JointEnv(CoordinationEnv(n_agents=4, low=0.5, high=3.0))
    assert env.observation_space == Box(-1.0, 1.0, (4, 5), np.float32)
    assert env.action_space == Box(0.5, 3.0, (8,), np.float32)
    obs, info = env.reset(seed=3)
    assert info == {}
    alone, _ = CoordinationEnv(n_agents=4).reset(seed=3)
    assert np.array_equal(obs, np.stack(list(alone.values())))


def test_each_agent_gets_its_own_part_of_the_action() -> None:
    inner = CoordinationEnv(n_agents=3)
    env = JointEnv(inner)
    env.reset(seed=0)
    best = inner.best_profile()
    best[1] += 0.5
    _, reward, terminated, truncated, info = env.step(env.to_env(best))
    assert info["agent_rewards"] == pytest.approx([1.0, 0.75, 1.0])
    assert reward == pytest.approx(2.75 / 3)
    assert (terminated, truncated) == (True, False)
    assert isinstance(reward, float)


def test_infos_hold_the_known_numbers_in_fixed_shapes() -> None:
    env = JointEnv(RewardTerms())
    env.reset(seed=0)
    _, reward, _, _, info = env.step(env.action_space.sample())
    assert reward == 0.25
    assert set(info) == {"agent_rewards", "failed", "rounds", "valid", "team_reward", "reward_parts", "team_parts"}
    assert np.array_equal(info["reward_parts"], np.tile(np.float32([0.5, 1.0, 0.0]), (3, 1)))
    assert np.array_equal(info["team_parts"], np.float32([0.1, 0.2, 0.3]))
    assert np.array_equal(info["valid"], np.ones(3, np.float32))
    assert info["rounds"] == 2.0


def test_units_are_mapped_there_and_back_within_bounds() -> None:
    env = JointEnv(CoordinationEnv(n_agents=2, low=0.1, high=2.0))
    action = env.to_env([[-1.0, 1.0], [0.0, 5.0]])
    assert action.dtype == np.float32
    assert env.action_space.contains(action)
    assert action == pytest.approx([0.1, 2.0, 1.05, 2.0])
    assert env.from_env(action) == pytest.approx(np.array([[-1.0, 1.0], [0.0, 1.0]]), abs=1e-6)


def test_a_deliberated_profile_is_submitted_without_another_round() -> None:
    inner = QuadraticEnv()
    env = JointEnv(inner)
    before, _ = env.reset(seed=0)
    assert env.can_deliberate
    assert env.last_outcome is None
    action = env.to_env(np.full((3, 2), 0.3))
    seen, info = env.deliberate(action)
    assert not np.array_equal(seen, before)
    assert info == {"rounds": 1.0, "failed": 0.0}
    assert env.last_outcome is not None
    assert env.last_outcome.answer == "0.300000"
    env.step(action)
    assert inner.rounds_played == 1


def test_coroutines_do_the_same_as_calls() -> None:
    plain, other = JointEnv(QuadraticEnv(horizon=2)), JointEnv(AsyncQuadraticEnv(horizon=2))
    assert (plain.is_concurrent, other.is_concurrent) == (False, True)

    async def play(env: JointEnv) -> list[Any]:
        obs, _ = await env.areset(seed=4, options={"problem": 7})
        seen, _ = await env.adeliberate(env.to_env(np.zeros((3, 2))))
        after, reward, *ends, info = await env.astep(env.to_env(np.full((3, 2), 0.5)))
        return [obs, seen, after, reward, ends, info["agent_rewards"]]

    def call(env: JointEnv) -> list[Any]:
        obs, _ = env.reset(seed=4, options={"problem": 7})
        seen, _ = env.deliberate(env.to_env(np.zeros((3, 2))))
        after, reward, *ends, info = env.step(env.to_env(np.full((3, 2), 0.5)))
        return [obs, seen, after, reward, ends, info["agent_rewards"]]

    expected = call(plain)
    for got in (asyncio.run(play(other)), asyncio.run(play(plain))):
        for a, b in zip(got, expected, strict=True):
            assert np.array_equal(a, b)


def test_what_the_environment_offers_is_passed_on() -> None:
    inner = RewardTerms()
    env = JointEnv(inner)
    env.unwrapped.reward_weights = (0.0, 1.0, 0.0)
    assert inner.reward_weights == env.reward_weights == (0.0, 1.0, 0.0)
    assert (env.observation_layout, env.memory_shape) == ({}, (0, 0))
    layout = JointEnv(QuadraticEnv()).observation_layout
    assert layout["commitment"] == slice(4, 6)
    assert as_joint(env) is env
    assert as_joint(inner).parallel_env is inner


def test_it_can_be_pickled_and_copied_in_the_middle_of_an_episode() -> None:
    env = JointEnv(QuadraticEnv(horizon=2))
    env.reset(seed=0)
    env.step(env.to_env(np.zeros((3, 2))))
    outcomes = [
        twin.step(env.to_env(np.full((3, 2), 0.2)))[1]
        for twin in (pickle.loads(pickle.dumps(env)), copy.deepcopy(env), env)
    ]
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_rounds_are_refused_where_there_are_none() -> None:
    env = JointEnv(CoordinationEnv())
    env.reset(seed=0)
    assert not env.can_deliberate
    with pytest.raises(TeamError, match="no deliberate"):
        env.deliberate(env.action_space.sample())


def test_stepping_after_the_end_is_refused() -> None:
    env = JointEnv(CoordinationEnv())
    with pytest.raises(RuntimeError, match="reset"):
        env.step(env.action_space.sample())
    env.reset(seed=0)
    env.step(env.action_space.sample())
    with pytest.raises(RuntimeError, match="reset"):
        env.step(env.action_space.sample())


@pytest.mark.parametrize(
    ("attribute", "space"),
    [
        ("observation_spaces", Box(-2.0, 2.0, (5,), np.float32)),
        ("action_spaces", Box(-1.0, 1.0, (3,), np.float32)),
        ("action_spaces", Discrete(4)),
        ("action_spaces", Box(-np.inf, np.inf, (2,), np.float32)),
    ],
)
def test_unequal_or_unusable_spaces_are_refused(attribute: str, space: Any) -> None:
    env = CoordinationEnv()
    agents = env.possible_agents[1:] if attribute == "observation_spaces" else env.possible_agents
    getattr(env, attribute).update(dict.fromkeys(agents, space))
    if isinstance(space, Box) and space.shape == (3,):
        env.action_spaces["agent_0"] = Box(-1.0, 1.0, (2,), np.float32)
    with pytest.raises(TeamError):
        JointEnv(env)


class Leaver(CoordinationEnv):
    """One agent is done before the others."""

    def step(self, actions: Any) -> Any:
        obs, rewards, ends, cuts, infos = super().step(actions)
        return obs, rewards, {**ends, "agent_1": True}, cuts, infos


class Silent(CoordinationEnv):
    """Tells nothing of one agent at the end."""

    def step(self, actions: Any) -> Any:
        obs, *rest = super().step(actions)
        return ({agent: row for agent, row in obs.items() if agent != "agent_2"}, *rest)


class Wavering(CoordinationEnv):
    """Tells a number in one step and not in the next."""

    def _info(self, rewards: list[float]) -> dict[str, Any]:
        return {"valid": 1.0} if self.decision == 1 else {}


@pytest.mark.parametrize(
    ("env", "told"),
    [(Leaver(horizon=2), "left before"), (Silent(), "agent_2"), (Wavering(horizon=3), "keys of the infos")],
)
def test_agents_that_leave_early_and_changing_infos_are_refused(env: Any, told: str) -> None:
    joint = JointEnv(env)
    joint.reset(seed=0)

    def play() -> None:
        for _ in range(2):
            joint.step(joint.action_space.sample())

    with pytest.raises(TeamError, match=told):
        play()


def test_a_cut_episode_is_truncated_not_terminated() -> None:
    class Cut(CoordinationEnv):
        def step(self, actions: Any) -> Any:
            obs, rewards, ends, cuts, infos = super().step(actions)
            return obs, rewards, cuts, ends, infos

    env = JointEnv(Cut())
    env.reset(seed=0)
    assert env.step(env.action_space.sample())[2:4] == (False, True)
