"""Shows the team as one gymnasium agent that sees the state and acts for all, for single-agent trainers.

The learner has a different joint view (`econ_agents.joint_env`): it keeps one observation row per agent, so that
networks use only what each agent may know, and it takes any parallel environment. Axes: N agents, A numbers of an
agent's action, S state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from numpy.typing import ArrayLike, NDArray

from econ_env.env import Transition
from econ_env.errors import ConfigError, EpisodeError
from econ_env.llm import background
from econ_env.wrappers.actions import TeamEnv
from econ_env.wrappers.view import View

Array = NDArray[np.float32]
Info = dict[str, Any]
JointTransition = tuple[Array, float, bool, bool, Info]


class JointView(View):
    """Makes one gymnasium environment from a team.

    | Data sheet  |                                                                                           |
    |-------------|-------------------------------------------------------------------------------------------|
    | Observation | The team's `state()`, Box(-1, 1) float32 [S]: every reply is in it                         |
    | Action      | The agents' actions one after another: Box [N * A], or MultiDiscrete [N] from a grid       |
    | Reward      | Mean of the agents' rewards, in [0, 1] less the price of calls                             |
    | Info        | `{}` at reset; at a step each agent's info under its name, and `rewards` with each agent's |

    Args:
        env: The environment, or one with other actions.

    Raises:
        ConfigError: The agents' actions are neither a one-dimensional Box nor Discrete.
    """

    def __init__(self, env: TeamEnv) -> None:
        super().__init__(env)
        self.observation_space: Space[Any] = env.state_space
        spaces = [env.action_space(agent) for agent in env.possible_agents]
        first = spaces[0]
        if isinstance(first, Discrete):
            self.action_space = MultiDiscrete([first.n] * len(spaces))
        elif isinstance(first, Box) and len(first.shape) == 1:
            low, high = (np.tile(bound, len(spaces)) for bound in (first.low, first.high))
            self.action_space = Box(low, high, dtype=np.float32)
        else:
            raise ConfigError(f"a joint view needs Discrete or one-dimensional Box actions, got {first}")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, Info]:
        """Move on to another problem; see the environment's `reset`.

        Returns:
            The state [S], and an empty info.
        """
        return background.run(self.areset(seed=seed, options=options))

    async def areset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, Info]:
        """`reset` for coroutines."""
        super().reset(seed=seed)
        await self.parallel_env.areset(seed, options)
        return self.parallel_env.state(), {}

    def deliberate(self, action: ArrayLike) -> tuple[Array, Info]:
        """Run one round with this joint action; the decision goes on, and there is no reward.

        Returns:
            The new state [S], and each agent's info under its name.

        Raises:
            EpisodeError: No episode is running, or the action does not fit the space.
        """
        return background.run(self.adeliberate(action))

    async def adeliberate(self, action: ArrayLike) -> tuple[Array, Info]:
        """`deliberate` for coroutines."""
        _, infos = await self.parallel_env.adeliberate(self._split(action))
        return self.parallel_env.state(), dict(infos)

    def step(self, action: ArrayLike) -> JointTransition:
        """Submit this joint action.

        Returns:
            State [S], mean reward, terminated, truncated (never), info.

        Raises:
            EpisodeError: No episode is running, or the action does not fit the space.
        """
        return background.run(self.astep(action))

    async def astep(self, action: ArrayLike) -> JointTransition:
        """`step` for coroutines."""
        return self._join(await self.parallel_env.astep(self._split(action)))

    def _split(self, action: ArrayLike) -> dict[str, Any]:
        numbers, wanted = np.asarray(action), self.action_space.shape
        assert wanted is not None
        if numbers.size != np.prod(wanted):
            raise EpisodeError(f"a joint action must have shape {wanted}, got {numbers.shape}")
        agents = self.parallel_env.possible_agents
        return dict(zip(agents, numbers.reshape(len(agents), -1), strict=True))

    def _join(self, transition: Transition) -> JointTransition:
        _, rewards, terminations, truncations, infos = transition
        info = {**infos, "rewards": dict(rewards)}
        reward = sum(rewards.values()) / len(rewards)
        return self.parallel_env.state(), reward, all(terminations.values()), all(truncations.values()), info
