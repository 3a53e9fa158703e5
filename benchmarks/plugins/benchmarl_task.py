"""Trains BenchMARL's MAPPO on the environment, added as a BenchMARL task.

python benchmarks/plugins/run.py benchmarl_task
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from benchmarl.algorithms import MappoConfig
from benchmarl.environments.pettingzoo.common import PettingZooClass
from benchmarl.experiment import Experiment, ExperimentConfig
from benchmarl.models.mlp import MlpConfig
from known_task import normalized_team, run_trial
from tensordict import TensorDict
from torchrl.envs import EnvBase, PettingZooWrapper
from torchrl.envs.utils import ExplorationType, set_exploration_type

GROUP = "executor"
EPISODES = 2304


class EconTask(PettingZooClass):
    """The environment as a BenchMARL task; inherits what all PettingZoo tasks share."""

    def get_env_fun(
        self, num_envs: int, continuous_actions: bool, seed: int | None, device: torch.device | str
    ) -> Callable[[], EnvBase]:
        """A factory of environments with actions in [-1, 1]."""
        return lambda: PettingZooWrapper(normalized_team(), return_state=True, seed=seed, device=device)

    def supports_continuous_actions(self) -> bool:
        """Always true."""
        return True

    def supports_discrete_actions(self) -> bool:
        """Always false; `DiscreteActions` would be a separate task."""
        return False

    def has_render(self, env: EnvBase) -> bool:
        """Always false."""
        return False

    def max_steps(self, env: EnvBase) -> int:
        """Decisions of an episode."""
        return 1

    @staticmethod
    def env_name() -> str:
        """The name in results."""
        return "econ"


def settings(folder: str) -> ExperimentConfig:
    """A short run without logs."""
    config = ExperimentConfig.get_from_yaml()
    config.lr = 1e-3
    config.max_n_frames = EPISODES
    config.on_policy_collected_frames_per_batch = 128
    config.on_policy_n_envs_per_worker = 1
    config.on_policy_n_minibatch_iters = 8
    config.on_policy_minibatch_size = 32
    config.evaluation = config.render = config.create_json = False
    config.loggers = []
    config.save_folder = folder
    return config


def main() -> None:
    """Train, and print the result."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = MlpConfig(num_cells=[64, 64], layer_class=torch.nn.Linear, activation_class=torch.nn.Tanh)
        experiment = Experiment(
            task=EconTask("KNOWN_OPTIMUM", {}),
            algorithm_config=MappoConfig.get_from_yaml(),
            model_config=model,
            critic_model_config=model,
            seed=0,
            config=settings(folder),
        )

        def act(observations: Mapping[str, Any], _: Any) -> dict[str, Any]:
            seen = torch.as_tensor(np.stack(list(observations.values())))[None]
            with torch.no_grad(), set_exploration_type(ExplorationType.DETERMINISTIC):
                actions = experiment.policy(TensorDict({GROUP: {"observation": seen}}, [1]))[GROUP, "action"]
            return dict(zip(observations, actions[0].numpy(), strict=True))

        def train() -> int:
            experiment.run()
            return experiment.total_frames

        run_trial("benchmarl", normalized_team, act, train)


if __name__ == "__main__":
    main()
