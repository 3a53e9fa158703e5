"""Trains the peers of ECON on the known-optimum task: Tianshou's DDPG and TD3 on the joint view, and random search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import torch
from tianshou.algorithm import DDPG, TD3
from tianshou.algorithm.modelfree.ddpg import ContinuousDeterministicPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net
from tianshou.utils.net.continuous import ContinuousActorDeterministic, ContinuousCritic
from torch import Tensor, nn

from econ_agents.baselines import FixedControls
from econ_agents.config import AgentConfig
from econ_agents.evaluate import evaluate
from econ_agents.joint_env import Array, JointEnv
from econ_agents.policy import EconPolicy
from econ_agents.team_spec import TeamSpec
from econ_agents.training import TrainingEnvs
from econ_agents.trial import Trial
from econ_env import EconParallelEnv

FEATURES = (64,)
"""Widths of the layers that read the observation."""
HIDDEN = (128, 128)
"""Widths of the next layers of actor and critic."""
TAU = 0.01
SEEN = 40
"""Problems whose first observations set the input scaling."""
ARMS = 32
"""Number of controls that random search starts with."""


class Scaled(nn.Module):
    """A network on centred inputs of about unit variance; raw embeddings differ too little for fast learning.

    Args:
        net: The network.
        obs_RX: Observations for computing centre and spread, one flat row each.
        appended: Number of values that the next network gets in addition to these features.
    """

    center: Tensor

    def __init__(self, net: Net, obs_RX: Tensor, appended: int = 0) -> None:
        super().__init__()
        self.net = net
        self.appended = appended
        varying = obs_RX.std(0)[obs_RX.std(0) > 1e-6]
        self.register_buffer("center", obs_RX.mean(0))
        self.spread = float(varying.pow(2).mean().sqrt())

    def get_output_dim(self) -> int:
        """Width of the next network's input."""
        return self.net.get_output_dim() + self.appended

    def forward(self, obs: Any, state: Any = None, info: Any = None) -> tuple[Tensor, Any]:
        """Features of inputs [B, ...]."""
        flat_BX = torch.as_tensor(obs, dtype=torch.float32).flatten(1)
        features: tuple[Tensor, Any] = self.net((flat_BX - self.center) / self.spread, state)
        return features


class ExploringPolicy(ContinuousDeterministicPolicy):
    """Tianshou's deterministic policy with ECON's exploration: random start, falling noise, a share of random actions.

    Args:
        actor: Observations [B, N, D] to actions [B, N * A] in [-1, 1].
        explorer: The policy whose exploration is used; its networks are not used.
    """

    def __init__(self, actor: ContinuousActorDeterministic, explorer: EconPolicy) -> None:
        super().__init__(actor=actor, action_space=explorer.action_space, observation_space=explorer.observation_space)
        self.add_exploration_noise = explorer.add_exploration_noise  # type: ignore[method-assign]


class JointActor:
    """Wraps a joint actor as a team's policy.

    Args:
        actor: Observations [B, N, D] to actions [B, N * A] in [-1, 1].
        spec: The team's shape.
    """

    def __init__(self, actor: nn.Module, spec: TeamSpec) -> None:
        self.actor = actor
        self.spec = spec

    def propose(self, obs_BND: Tensor) -> Tensor:
        """The profile [B, N, A] in [-1, 1]."""
        act: Tensor = self.actor(obs_BND)[0]
        return act.view(len(obs_BND), self.spec.n_agents, self.spec.action_dim)


def train_actor_critic(
    algorithm: Literal["ddpg", "td3"],
    make_env: Callable[[], EconParallelEnv],
    config: AgentConfig,
    rates: tuple[float, float],
    episodes: int,
    seed: int,
    note: Callable[[int, JointActor], None],
    every: int,
) -> None:
    """Train a Tianshou algorithm on the joint view, with ECON's observations and exploration.

    Args:
        algorithm: The algorithm's name.
        make_env: Makes the team's environment.
        config: ECON's settings; used are exploration, replay, batches and gradient steps.
        rates: Learning rates of actor and critic.
        episodes: Number of training episodes.
        seed: Seed of the run.
        note: Called with the number of finished episodes and the policy.
        every: Episodes between calls of `note`.
    """
    torch.manual_seed(seed)
    np.random.seed(seed)  # Tianshou's buffer uses numpy's global generator
    envs = TrainingEnvs([make_env] * config.num_envs, seed=seed, episodes=episodes)
    try:
        first = envs.envs[0]
        learner = _learner(algorithm, first, config, rates, seed)
        buffer = VectorReplayBuffer(config.replay.capacity, config.num_envs)
        collector = Collector(learner.policy, envs, buffer, exploration_noise=True)
        trainer = learner.create_trainer(
            OffPolicyTrainerParams(
                training_collector=collector,
                max_epochs=episodes,
                epoch_num_steps=1,
                collection_step_num_env_steps=None,
                collection_step_num_episodes=config.num_envs,
                update_step_num_gradient_steps_per_sample=config.gradient_steps,
                batch_size=config.batch_size,
                verbose=False,
                show_progress=False,
            )
        )
        trainer.reset()
        policy = JointActor(learner.policy.actor, first.team)
        for done in range(config.num_envs, episodes + 1, config.num_envs):
            trainer.execute_epoch()
            if done % every == 0 or done + config.num_envs > episodes:
                note(done, policy)
    finally:
        envs.close()


def _learner(
    algorithm: Literal["ddpg", "td3"], env: JointEnv, config: AgentConfig, rates: tuple[float, float], seed: int
) -> DDPG | TD3:
    obs = [env.reset(seed=0, options={"problem": index})[0].ravel() for index in range(SEEN)]
    obs_RX = torch.as_tensor(np.stack(obs))
    width, n_actions = obs_RX.shape[1], int(np.prod(env.action_space.shape))
    features = [Scaled(Net(state_shape=width, hidden_sizes=FEATURES), obs_RX, n) for n in (0, n_actions)]
    actor = ContinuousActorDeterministic(preprocess_net=features[0], action_shape=n_actions, hidden_sizes=HIDDEN)
    nn.init.uniform_(actor.last.model[-1].weight, -3e-3, 3e-3)  # start in the middle of tanh, away from its flat ends
    critic = ContinuousCritic(
        preprocess_net=features[1],
        hidden_sizes=HIDDEN,
        apply_preprocess_net_to_obs_only=True,  # among thousands of inputs, six controls would have little effect
    )
    policy = ExploringPolicy(actor, EconPolicy(env.team, config, seed=seed))
    actor_optim, critic_optim = (AdamOptimizerFactory(lr=rate) for rate in rates)
    make = DDPG if algorithm == "ddpg" else TD3
    return make(
        policy=policy, policy_optim=actor_optim, critic=critic, critic_optim=critic_optim, tau=TAU, gamma=config.gamma
    )


def random_search(make_env: Callable[[], EconParallelEnv], episodes: int, seed: int) -> Iterator[tuple[int, Array]]:
    """Successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943) over fixed controls, one for all executors.

    Args:
        make_env: Makes the team's environment.
        episodes: Number of episodes.
        seed: Seed of the run.

    Yields:
        After each halving: episodes used, and the controls [N, A] with the highest share of solved problems so far.
    """
    env = make_env()
    spec, n_problems = TeamSpec.of(env), len(env.problems)
    env.close()
    low_A, high_A = np.asarray(spec.action_low), np.asarray(spec.action_high)
    arms = list(np.random.default_rng(seed).uniform(low_A, high_A, (ARMS, spec.action_dim)))
    played = [[0, 0] for _ in arms]  # episodes, and solved episodes, per arm
    alive = list(range(len(arms)))
    levels = int(np.log2(ARMS))
    spent = 0
    for level in range(levels):
        each = max(1, (episodes - spent) // (levels - level) // len(alive))
        for arm in alive:
            policy = FixedControls(spec, arms[arm].tolist())
            numbers = [(spent + number) % n_problems for number in range(each)]
            own_seed = int(np.random.SeedSequence([seed, level, arm]).generate_state(1)[0])
            results = evaluate(Trial(policy, rounds=1, gaps=False), make_env, numbers, concurrency=1, seed=own_seed)
            played[arm][0] += len(results)
            played[arm][1] += sum(int(result.decisions[-1].numbers["team_correct"]) for result in results)
            spent += each
        alive.sort(key=lambda arm: played[arm][1] / played[arm][0], reverse=True)
        alive = alive[: max(1, len(alive) // 2)]
        yield spent, np.tile(arms[alive[0]].astype(np.float32), (spec.n_agents, 1))
