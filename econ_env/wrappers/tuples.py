"""Shows the team as a gymnasium environment with a tuple entry for each agent, as EPyMARL and similar tools need it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from gymnasium.spaces import Space, Tuple
from numpy.typing import NDArray

from econ_env.errors import EpisodeError
from econ_env.observations.infos import Infos
from econ_env.wrappers.actions import TeamEnv
from econ_env.wrappers.view import View

PerAgent = tuple[NDArray[np.float32], ...]


def epymarl_config() -> str:
    """Path of the configuration file for EPyMARL, `epymarl.yaml`, without its suffix.

    EPyMARL looks for `--env-config` in its own folder and adds `.yaml`, but takes any absolute path as it is:
    `python src/main.py --config=qmix --env-config="$(python -m econ_env.wrappers.epymarl)"`.
    """
    return str(files("econ_env.wrappers") / "epymarl")


class TupleView(View):
    """The interface of EPyMARL's `gymma`; it needs Discrete actions: wrap the environment in `DiscreteActions` first.

    | Data sheet  |                                                                                         |
    |-------------|-----------------------------------------------------------------------------------------|
    | Observation | Tuple of the agents' observations                                                       |
    | Action      | Tuple of the agents' actions                                                            |
    | Reward      | List of the agents' rewards                                                             |
    | Ends        | One bool for all                                                                        |
    | Info        | Flat, numbers only, since EPyMARL adds infos up: `executor_0_reward_ts` and so on        |

    EPyMARL treats an episode that ends at its `time_limit` as truncated, so set `time_limit` above `max_rounds`. Texts
    of `text_infos` are left out; they are in `parallel_env.episode`.

    Args:
        env: The environment, or one with other actions.

    Attributes:
        n_agents: Number of agents N.
    """

    def __init__(self, env: TeamEnv) -> None:
        super().__init__(env)
        self.n_agents = len(env.possible_agents)
        seen: list[Space[Any]] = [env.observation_space(agent) for agent in env.possible_agents]
        done: list[Space[Any]] = [env.action_space(agent) for agent in env.possible_agents]
        self.observation_space, self.action_space = Tuple(seen), Tuple(done)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[PerAgent, dict[str, Any]]:
        """Move on to another problem; see the environment's `reset`.

        Returns:
            N observations, and an empty info.
        """
        super().reset(seed=seed)
        observations, _ = self.parallel_env.reset(seed, options)
        return tuple(observations.values()), {}

    def deliberate(self, actions: Sequence[Any]) -> tuple[PerAgent, dict[str, Any]]:
        """Run one round with these N actions; the decision goes on, and there is no reward.

        Raises:
            EpisodeError: No episode is running, or an action is missing or does not fit the space.
        """
        observations, infos = self.parallel_env.deliberate(self._by_name(actions))
        return tuple(observations.values()), _flat(infos)

    def step(  # type: ignore[override] # one reward per agent, as EPyMARL wants them
        self, actions: Sequence[Any]
    ) -> tuple[PerAgent, list[float], bool, bool, dict[str, Any]]:
        """Submit these N actions.

        Returns:
            N observations, N rewards, terminated, truncated (never), info.

        Raises:
            EpisodeError: No episode is running, or an action is missing or does not fit the space.
        """
        observations, rewards, terminations, truncations, infos = self.parallel_env.step(self._by_name(actions))
        ends = all(terminations.values()), all(truncations.values())
        return tuple(observations.values()), list(rewards.values()), *ends, _flat(infos)

    def _by_name(self, actions: Sequence[Any]) -> dict[str, Any]:
        if len(actions) != self.n_agents:
            raise EpisodeError(f"{self.n_agents} agents need {self.n_agents} actions, got {len(actions)}")
        return dict(zip(self.parallel_env.possible_agents, actions, strict=True))


def _flat(infos: Infos) -> dict[str, Any]:
    numbers = {f"{agent}_{key}": value for agent, info in infos.items() for key, value in info.items()}
    return {key: value for key, value in numbers.items() if not isinstance(value, str)}
