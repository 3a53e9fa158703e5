"""Trains AgileRL's MADDPG on its vectorised PettingZoo: several processes with one team each.

python benchmarks/plugins/run.py agilerl_maddpg
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from agilerl.algorithms import MADDPG
from agilerl.components.replay_buffer import ReplayBuffer
from agilerl.training.train_multi_agent_off_policy import train_multi_agent_off_policy
from agilerl.vector.pz_async_vec_env import AsyncPettingZooVecEnv
from known_task import normalized_team, run_trial

EPISODES = 2400
PROCESSES = 4


def main() -> None:
    """Train, and print the result."""
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    np.random.seed(0)  # seeds AgileRL's noise
    single = normalized_team()
    hidden = {"hidden_size": [64]}
    head = {**hidden, "output_layernorm": False}  # AgileRL's default would turn any two outputs into +-1
    learner = MADDPG(
        observation_spaces=[single.observation_space(name) for name in single.possible_agents],
        action_spaces=[single.action_space(name) for name in single.possible_agents],
        agent_ids=single.possible_agents,
        vect_noise_dim=PROCESSES,
        O_U_noise=False,
        expl_noise=0.4,
        net_config={"encoder_config": hidden, "head_config": head},
        batch_size=64,
        lr_actor=1e-3,
        lr_critic=1e-3,
        learn_step=PROCESSES,
        device="cpu",
    )

    def act(observations: Mapping[str, Any], _: Any) -> dict[str, Any]:
        learner.set_training_mode(False)
        batch = {name: seen[None] for name, seen in observations.items()}
        return {name: action[0] for name, action in learner.get_action(batch)[0].items()}

    def train() -> int:
        env = AsyncPettingZooVecEnv([normalized_team] * PROCESSES)
        try:
            train_multi_agent_off_policy(
                env,
                "econ",
                "MADDPG",
                [learner],
                ReplayBuffer(max_size=EPISODES, device="cpu"),
                max_steps=EPISODES,
                evo_steps=EPISODES,
                eval_steps=1,
                learning_delay=400,
                verbose=False,
            )
        finally:
            env.close()
        return EPISODES

    run_trial("agilerl", normalized_team, act, train)


if __name__ == "__main__":
    main()
