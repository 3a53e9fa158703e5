"""Trains Stable-Baselines3's PPO through SuperSuit: agents of several teams in one vector, one policy for all.

python benchmarks/plugins/run.py sb3_supersuit
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import supersuit
import torch
from known_task import normalized_team, run_trial
from stable_baselines3 import PPO

EPISODES = 2400
TEAMS = 8
STEPS = 20


def main() -> None:
    """Train, and print the result."""
    torch.set_num_threads(1)
    torch.manual_seed(0)  # PPO(seed=) would call a method that SuperSuit lacks
    rows = supersuit.pettingzoo_env_to_vec_env_v1(normalized_team())
    env = supersuit.concat_vec_envs_v1(rows, TEAMS, num_cpus=1, base_class="stable_baselines3")
    env.venv.reset(seed=0)
    model = PPO(
        "MlpPolicy",
        env,
        n_steps=STEPS,
        batch_size=80,
        n_epochs=6,
        learning_rate=1e-3,
        policy_kwargs={"log_std_init": -0.7},  # SB3's default spread of 1 is as wide as the bounds
        device="cpu",
    )

    def act(observations: Mapping[str, Any], _: Any) -> dict[str, Any]:
        return {name: model.predict(seen, deterministic=True)[0] for name, seen in observations.items()}

    def train() -> int:
        agents = len(normalized_team().possible_agents)
        model.learn(EPISODES * agents)
        return model.num_timesteps // agents

    run_trial("stable-baselines3", normalized_team, act, train)


if __name__ == "__main__":
    main()
