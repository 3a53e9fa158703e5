"""Trains Tianshou's DDPG on the joint view: one actor sees the state and acts for the whole team.

python benchmarks/plugins/tianshou_ddpg.py
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from known_task import normalized_team, run_trial
from tianshou.algorithm import DDPG
from tianshou.algorithm.modelfree.ddpg import ContinuousDeterministicPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.exploration import GaussianNoise
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net
from tianshou.utils.net.continuous import ContinuousActorDeterministic, ContinuousCritic

from econ_env.wrappers import JointView

EPISODES = 3000
TEAMS = 10


def main() -> None:
    """Train, and print the result."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    np.random.seed(0)  # seeds Tianshou's noise and random start
    env = JointView(normalized_team())
    state, action = env.observation_space.shape, env.action_space.shape
    actor = ContinuousActorDeterministic(
        preprocess_net=Net(state_shape=state, hidden_sizes=(64, 64)), action_shape=action
    )
    critic = ContinuousCritic(
        preprocess_net=Net(state_shape=state, action_shape=action, hidden_sizes=(64, 64), concat=True)
    )
    policy = ContinuousDeterministicPolicy(
        actor=actor, exploration_noise=GaussianNoise(sigma=0.4), action_space=env.action_space
    )
    algorithm = DDPG(
        policy=policy,
        policy_optim=AdamOptimizerFactory(lr=1e-3),
        critic=critic,
        critic_optim=AdamOptimizerFactory(lr=1e-3),
    )
    teams = DummyVectorEnv([lambda: JointView(normalized_team())] * TEAMS)
    collector = Collector(policy, teams, VectorReplayBuffer(EPISODES, TEAMS), exploration_noise=True)

    def act(_: Mapping[str, Any], state: np.ndarray) -> dict[str, np.ndarray]:
        with torch.no_grad():
            joint = actor(state[None])[0][0].numpy()
        agents = env.parallel_env.possible_agents
        return dict(zip(agents, joint.reshape(len(agents), -1), strict=True))

    def train() -> int:
        teams.seed(0)
        collector.reset()
        collector.collect(n_step=500, random=True)
        algorithm.run_training(
            OffPolicyTrainerParams(
                training_collector=collector,
                max_epochs=1,
                epoch_num_steps=EPISODES - 500,
                collection_step_num_env_steps=TEAMS,
                update_step_num_gradient_steps_per_sample=0.5,
                batch_size=256,
                verbose=False,
                show_progress=False,
            )
        )
        return EPISODES

    run_trial("tianshou", normalized_team, act, train)


if __name__ == "__main__":
    main()
