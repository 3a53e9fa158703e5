"""Trains RLlib's PPO through `ParallelPettingZooEnv`: one policy for all agents, episodes from a worker process.

python benchmarks/plugins/run.py rllib_ppo
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when ray is imported

import ray
import torch
from known_task import normalized_team, run_trial
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
from ray.tune import register_env

ITERATIONS = 18
EPISODES_PER_ITERATION = 128
SHARED = "shared"


def main() -> None:
    """Train, and print the result."""
    torch.set_num_threads(1)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    register_env("econ", lambda _: ParallelPettingZooEnv(normalized_team()))
    algorithm = (
        PPOConfig()
        .environment("econ")
        .multi_agent(policies={SHARED}, policy_mapping_fn=lambda agent, episode, **_: SHARED)
        .env_runners(num_env_runners=1)
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[64, 64], fcnet_activation="tanh"))
        .training(lr=1e-3, train_batch_size=EPISODES_PER_ITERATION, minibatch_size=96, num_epochs=6, entropy_coeff=0.0)
        .debugging(seed=0, log_level="ERROR")
        .build_algo()
    )

    def act(observations: Mapping[str, Any], _: Any) -> dict[str, Any]:
        module = algorithm.get_module(SHARED)
        with torch.no_grad():
            heads = {
                name: module.forward_inference({"obs": torch.as_tensor(seen)[None]})["action_dist_inputs"][0]
                for name, seen in observations.items()
            }
        return {name: head[: len(head) // 2].numpy() for name, head in heads.items()}

    def train() -> int:
        for _ in range(ITERATIONS):
            result = algorithm.train()
        return int(result["num_env_steps_sampled_lifetime"])

    try:
        run_trial("ray", normalized_team, act, train)
    finally:
        algorithm.stop()
        ray.shutdown()


if __name__ == "__main__":
    main()
