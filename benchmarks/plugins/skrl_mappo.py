"""Trains skrl's MAPPO: one policy per agent, with critics that see the state.

python benchmarks/plugins/run.py skrl_mappo
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import torch
from known_task import normalized_team, run_trial
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from skrl.multi_agents.torch import ExperimentCfg
from skrl.multi_agents.torch.mappo import MAPPO, MAPPO_CFG
from skrl.trainers.torch import SequentialTrainer
from torch import Tensor, nn

EPISODES = 2560
ROLLOUT = 128
Inputs = Mapping[str, Tensor]


def mlp(inputs: int, outputs: int) -> nn.Sequential:
    """Two hidden layers; the output layer starts near zero, so that policies start in the middle of the bounds."""
    last = nn.Linear(64, outputs)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), last)


class Policy(GaussianMixin, Model):
    """Means from the agent's own observation, with one learned spread per action."""

    def __init__(self, observation_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any]) -> None:
        Model.__init__(self, observation_space=observation_space, action_space=action_space, device="cpu")
        GaussianMixin.__init__(self)
        self.net = mlp(self.num_observations, self.num_actions)
        self.log_std = nn.Parameter(torch.full((self.num_actions,), -0.7))

    def compute(self, inputs: Inputs, role: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean actions and the log of their spread."""
        return self.net(inputs["observations"]), {"log_std": self.log_std}


class Critic(DeterministicMixin, Model):
    """Values of the state."""

    def __init__(self, state_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any]) -> None:
        Model.__init__(self, state_space=state_space, action_space=action_space, device="cpu")
        DeterministicMixin.__init__(self)
        self.net = mlp(self.num_states, 1)

    def compute(self, inputs: Inputs, role: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Values."""
        return self.net(inputs["states"]), {}


def main() -> None:
    """Train, and print the result."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    env = wrap_env(normalized_team(), wrapper="pettingzoo")
    names = env.possible_agents
    models = {
        name: {
            "policy": Policy(env.observation_space(name), env.action_space(name)),
            "value": Critic(env.state_space(name), env.action_space(name)),
        }
        for name in names
    }
    nothing: dict[str, dict[str, Any]] = {
        name: {} for name in names
    }  # skrl 2.1 refuses its own default, one empty dict
    agents = MAPPO(
        possible_agents=names,
        models=models,
        memories={name: RandomMemory(memory_size=ROLLOUT, num_envs=1, device="cpu") for name in names},
        cfg=MAPPO_CFG(
            rollouts=ROLLOUT,
            learning_epochs=6,
            mini_batches=4,
            learning_rate=1e-3,
            learning_rate_scheduler_kwargs=nothing,
            observation_preprocessor_kwargs=nothing,
            state_preprocessor_kwargs=nothing,
            value_preprocessor_kwargs=nothing,
            experiment=ExperimentCfg(write_interval=0, checkpoint_interval=0),
        ),
        observation_spaces=env.observation_spaces,
        state_spaces=env.state_spaces,
        action_spaces=env.action_spaces,
        device="cpu",
    )

    def act(observations: Mapping[str, Any], _: Any) -> dict[str, Any]:
        with torch.no_grad():
            return {
                name: models[name]["policy"].net(torch.as_tensor(seen)).numpy() for name, seen in observations.items()
            }

    def train() -> int:
        SequentialTrainer(
            env=env, agents=agents, cfg={"timesteps": EPISODES, "headless": True, "disable_progressbar": True}
        ).train()
        return EPISODES

    run_trial("skrl", normalized_team, act, train)


if __name__ == "__main__":
    main()
