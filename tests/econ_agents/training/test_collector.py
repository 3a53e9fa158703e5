"""Training steps with refinement: what is stored, what is paid for, and what stays as Tianshou has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tianshou.algorithm.algorithm_base import Policy
from tianshou.data import Batch, Collector, VectorReplayBuffer
from torch import Tensor

from econ_agents.equilibrium import EquilibriumConfig, Game, refine
from econ_agents.errors import ConfigError
from econ_agents.team_spec import TeamSpec
from econ_agents.testing import AsyncQuadraticEnv, CoordinationEnv, QuadraticEnv, QuadraticGame
from econ_agents.training.collector import RefiningCollector
from econ_agents.vector_env import JointVectorEnv

torch.set_num_threads(1)
COUPLING = 0.5


class Informed(Policy):
    """Starts from a fixed profile; knows the game; its noise is one fixed shift per call."""

    def __init__(self, start: float = 0.0, noise: float = 0.0) -> None:
        spec = TeamSpec.of(QuadraticEnv(low=0.5, high=2.5))
        super().__init__(spec.joint_action_space, action_scaling=True, action_bound_method="clip")
        self.start, self.noise, self.noised = start, noise, 0

    def propose(self, obs_BND: Tensor) -> Tensor:
        return torch.full((*obs_BND.shape[:2], 2), self.start)

    def forward(self, batch: Any, state: Any = None, **kwargs: Any) -> Any:
        return Batch(act=self.propose(torch.as_tensor(batch.obs)).flatten(1), state=None)

    def game(self, obs_BND: Tensor) -> Game:
        return QuadraticGame(obs_BND[..., :2], COUPLING)

    def add_exploration_noise(self, act: Any, batch: Any) -> Any:
        assert len(batch.obs) == len(act)
        self.noised += len(act)
        return np.clip(act + np.float32(self.noise), -1.0, 1.0)


def make(digits: int = 6) -> AsyncQuadraticEnv:
    return AsyncQuadraticEnv(coupling=COUPLING, low=0.5, high=2.5, digits=digits)


def collect(policy: Policy, rounds: int, episodes: int = 4, envs: int = 2, digits: int = 6, **kwargs: Any) -> Any:
    venv = JointVectorEnv([lambda: make(digits)] * envs)
    buffer = VectorReplayBuffer(64, envs)
    config = EquilibriumConfig(convergence_threshold=1e-4)
    collector = RefiningCollector(policy, venv, buffer, config=config, **kwargs, rounds=rounds)
    venv.seed(3)
    collector.reset()
    stats = collector.collect(n_episode=episodes)
    batch, _ = buffer.sample(0)
    played = sum(env.parallel_env.rounds_played for env in venv.envs)
    return batch, stats, played


def test_one_round_is_tianshous_own_collector() -> None:
    ours, stats, _ = collect(Informed(0.2, 0.1), rounds=1, exploration_noise=True)
    venv = JointVectorEnv([make] * 2)
    buffer = VectorReplayBuffer(64, 2)
    collector = Collector[Any](Informed(0.2, 0.1), venv, buffer, exploration_noise=True)
    venv.seed(3)
    collector.reset()
    expected = collector.collect(n_episode=4)
    theirs, _ = buffer.sample(0)
    for name in ("obs", "act", "rew", "obs_next", "terminated", "truncated"):
        assert np.array_equal(ours[name], theirs[name]), name
    assert np.array_equal(ours.info.agent_rewards, theirs.info.agent_rewards)
    assert stats.n_collected_steps == expected.n_collected_steps == 4
    assert np.array_equal(stats.returns, expected.returns)


def test_the_refined_profile_is_stored_with_what_it_was_chosen_from_and_paid() -> None:
    batch, stats, played = collect(Informed(0.2), rounds=3)
    assert played == 3 * 4
    assert np.array_equal(batch.info.rounds, np.full(4, 3.0))
    for row in range(4):
        obs_ND = torch.as_tensor(batch.obs[row])
        game = QuadraticGame(obs_ND[None, :, :2], COUPLING)
        config = EquilibriumConfig(convergence_threshold=1e-4)
        expected = refine(game, torch.full((1, 3, 2), 0.2), config, rounds=2)
        act = torch.as_tensor(batch.act[row]).reshape(1, 3, 2)
        torch.testing.assert_close(act, expected.profile_BNA, atol=1e-5, rtol=0)
        # Seen when it was chosen: two rounds done, the last at the first response.
        assert obs_ND[0, 6] == 2 / 8
        torch.testing.assert_close(obs_ND[:, 2:4], expected.trajectory_KBNA[1, 0], atol=1e-5, rtol=0)
        paid = game.utilities(act, act[:, :, None]).squeeze()
        torch.testing.assert_close(torch.as_tensor(batch.info.agent_rewards[row]), paid, atol=1e-5, rtol=0)
        assert batch.rew[row] == pytest.approx(float(paid.mean()), abs=1e-5)
    assert np.array_equal(np.sort(stats.returns), np.sort(batch.rew))


def test_refining_pays() -> None:
    returns = [collect(Informed(0.9), rounds=rounds)[1].returns.mean() for rounds in (1, 2, 4)]
    assert returns[0] < returns[1] < returns[2]


def test_a_repeated_answer_is_submitted_at_no_cost_with_what_it_was_chosen_from() -> None:
    batch, _, played = collect(Informed(0.2), rounds=9, digits=0)
    stopped = batch.info.rounds
    assert stopped.max() < 9
    assert played == stopped.sum()
    # Chosen after the round before the last.
    assert np.array_equal(batch.obs[:, 0, 6], (stopped - 1) / 8)


def test_noise_is_added_once_per_decision_to_what_is_submitted() -> None:
    policy, quiet = Informed(0.2, noise=0.125), Informed(0.2)
    noisy, _, played = collect(policy, rounds=3, exploration_noise=True)
    plain, _, _ = collect(quiet, rounds=3)
    assert policy.noised == 4
    assert played == 3 * 4
    assert noisy.act == pytest.approx(np.clip(plain.act + 0.125, -1, 1), abs=1e-6)
    assert np.array_equal(noisy.obs, plain.obs)


def test_what_noise_was_added_to_was_chosen_from_the_last_observation_also_after_an_early_stop() -> None:
    batch, _, played = collect(Informed(0.2, noise=0.125), rounds=9, digits=0, exploration_noise=True)
    stopped = batch.info.rounds
    assert stopped.max() < 9
    assert played == stopped.sum()
    assert np.array_equal(batch.obs[:, 0, 6], (stopped - 1) / 8)
    # What was played last is what the noise was added to.
    assert batch.act.reshape(4, 3, 2) == pytest.approx(np.clip(batch.obs[..., 2:4] + 0.125, -1, 1), abs=1e-5)


def test_environments_without_deliberation_are_refined_within_the_policy() -> None:
    class Meeting(Policy):
        def __init__(self, env: CoordinationEnv) -> None:
            spec = TeamSpec.of(env)
            super().__init__(spec.joint_action_space, action_scaling=True, action_bound_method="clip")

        def forward(self, batch: Any, state: Any = None, **kwargs: Any) -> Any:
            return Batch(act=torch.zeros(len(batch.obs), 6), state=None)

        def game(self, obs_BND: Tensor) -> Game:
            spread = torch.tensor([-0.3, 0.0, 0.3])[None, :, None]
            return QuadraticGame(0.6 * obs_BND[..., :2] + spread, 0.0)

    returns = []
    for rounds in (1, 2):
        venv = JointVectorEnv([CoordinationEnv] * 2)
        config = EquilibriumConfig()
        collector = RefiningCollector(
            Meeting(CoordinationEnv()), venv, VectorReplayBuffer(64, 2), config=config, rounds=rounds
        )
        venv.seed(0)
        collector.reset()
        returns.append(collector.collect(n_episode=4).returns)
    assert returns[0].max() < 0.99
    assert returns[1] == pytest.approx(np.ones(4), abs=1e-5)


def test_several_decisions_and_uneven_episodes_are_collected() -> None:
    venv = JointVectorEnv([lambda: AsyncQuadraticEnv(horizon=3, low=0.5, high=2.5)] * 3)
    buffer = VectorReplayBuffer(64, 3)
    collector = RefiningCollector(Informed(), venv, buffer, config=EquilibriumConfig(), rounds=2)
    venv.seed(0)
    collector.reset()
    stats = collector.collect(n_episode=4)
    assert stats.n_collected_steps == 12
    batch, _ = buffer.sample(0)
    assert batch.terminated.sum() == 4
    assert np.array_equal(batch.info.rounds, np.full(12, 2.0))
    collector.collect(n_step=6, random=True)
    assert len(buffer) == 18


def test_refining_needs_a_policy_with_a_game() -> None:
    class Plain(Policy):
        def __init__(self) -> None:
            super().__init__(TeamSpec.of(QuadraticEnv()).joint_action_space)

        def forward(self, batch: Any, state: Any = None, **kwargs: Any) -> Any:
            return Batch(act=torch.zeros(len(batch.obs), 6), state=None)

    venv = JointVectorEnv([QuadraticEnv])
    RefiningCollector(Plain(), venv, config=EquilibriumConfig(), rounds=1)
    with pytest.raises(ConfigError, match="game"):
        RefiningCollector(Plain(), venv, config=EquilibriumConfig(), rounds=2)
