"""Trains XuanCe's MAPPO through an environment class of its own: XuanCe's one for PettingZoo takes `mpe` only.

python benchmarks/plugins/run.py xuance_mappo
"""

from __future__ import annotations

import os
import tempfile
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

import torch
import xuance
import yaml
from known_task import normalized_team, run_trial
from xuance.environment import REGISTRY_MULTI_AGENT_ENV, RawMultiAgentEnv, make_envs
from xuance.torch.agents import MAPPO_Agents

UPDATES = 20
TEAMS = 12
ROWS = 10
"""Episodes of each team in an update."""
SETTINGS = {
    "agent": "MAPPO",
    "env_name": "econ",
    "env_id": "known_task",
    "vectorize": "DummyVecMultiAgentEnv",
    "parallels": TEAMS,
    "env_seed": 0,
    "seed": 0,
    "learner": "MAPPO_Learner",
    "policy": "Gaussian_MAAC_Policy",
    "representation": "Basic_Identical",
    "actor_hidden_size": [64, 64],
    "critic_hidden_size": [64, 64],
    "activation": "tanh",
    "buffer_size": TEAMS * ROWS,
    "n_epochs": 8,
    "n_minibatch": 4,
    "learning_rate": 1e-3,
    "ent_coef": 0.0,
    "device": "cpu",
}
"""What differs from the file that XuanCe ships for MAPPO on `simple_spread_v3`."""


class XuanceTeam(RawMultiAgentEnv):
    """The team as XuanCe wants it: dicts by agent, one `truncated` for all, and totals of the rewards in the info."""

    def __init__(self, config: Namespace) -> None:
        super().__init__()
        self.env = normalized_team()
        self.render_mode, self.metadata = self.env.render_mode, self.env.metadata
        self.agents = list(self.env.possible_agents)
        self.num_agents = len(self.agents)
        self.agent_groups = [self.agents]
        self.state_space = self.env.state_space
        self.observation_space, self.action_space = self.env.observation_spaces, self.env.action_spaces
        self.max_episode_steps = 1
        self._seed: int | None = config.env_seed
        self._totals: dict[str, float] = {}

    def reset(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Move on to another problem; the first call seeds their order."""
        observations, infos = self.env.reset(self._seed)
        self._seed = None
        self._totals = dict.fromkeys(self.agents, 0.0)
        return observations, {"infos": infos, "individual_episode_rewards": self._totals}

    def step(self, action: Mapping[str, Any]) -> tuple[Any, ...]:
        """Submit the actions of all agents."""
        observations, rewards, terminations, _, infos = self.env.step(action)
        self._totals = {agent: self._totals[agent] + reward for agent, reward in rewards.items()}
        told = {"infos": infos, "individual_episode_rewards": self._totals}
        return observations, rewards, terminations, False, told

    def state(self) -> Any:
        """What the whole team is in."""
        return self.env.state()

    def avail_actions(self) -> None:
        """None: the actions are continuous."""

    def render(self, *_: Any) -> Any:
        """What the environment renders."""
        return self.env.render()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()


def main() -> None:
    """Train, and print the result."""
    torch.set_num_threads(1)
    REGISTRY_MULTI_AGENT_ENV["econ"] = XuanceTeam
    folder = os.path.join(os.path.dirname(xuance.__file__), "configs")
    files = ("basic.yaml", os.path.join("mappo", "mpe", "simple_spread_v3.yaml"))
    settings: dict[str, Any] = {}
    for file in files:
        with open(os.path.join(folder, file)) as stream:
            settings |= yaml.safe_load(stream)
    config = Namespace(**settings | SETTINGS)
    agents = MAPPO_Agents(config, make_envs(config))
    # XuanCe gives this policy's means no last activation, and starts them with gain 1: far outside [-1, 1], where all
    # actions are clipped to the same and nothing can be learned.
    last = [part for part in agents.policy.actor.modules() if isinstance(part, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.weight.mul_(0.01)

    def act(observations: Mapping[str, Any], _: Any) -> dict[str, Any]:
        return agents.get_actions([dict(observations)], test_mode=True, deterministic=True)["actions"][0]

    def train() -> int:
        agents.train_envs.reset()
        agents.train(UPDATES * ROWS)
        return UPDATES * ROWS * TEAMS

    run_trial("xuance", normalized_team, act, train)
    agents.finish()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as logs:
        os.chdir(logs)  # XuanCe writes its logs below the working folder
        main()
