"""Wraps parallel environments so that agents act in other units: in [-1, 1], or by a number on a grid.

Such a wrapper is its own `unwrapped`, since trainers read spaces there; the wrapped environment is `env`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, Union

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import ArrayLike, NDArray
from pettingzoo.utils import BaseParallelWrapper

from econ_env.config import Weights
from econ_env.env import EconParallelEnv, Observations, RoundOutcome, Transition
from econ_env.errors import ConfigError, EpisodeError
from econ_env.llm import background
from econ_env.observations.infos import Infos

Array = NDArray[np.float32]
TeamEnv: TypeAlias = Union[EconParallelEnv, "ActionWrapper"]
"""What the wrappers take: the environment, or one with other actions."""


class ActionWrapper(BaseParallelWrapper[str, Array, Any]):  # type: ignore[misc] # pettingzoo ships no types
    """Base class of wrappers that change only the actions; a subclass gives the space and `to_inner`.

    Args:
        env: The environment to act in.
        space: The new action space of every agent.
    """

    env: TeamEnv

    def __init__(self, env: TeamEnv, space: Space[Any]) -> None:
        super().__init__(env)
        self.action_spaces = dict.fromkeys(env.possible_agents, space)

    @abstractmethod
    def to_inner(self, agent: str, action: Any) -> ArrayLike:
        """The action for the wrapped environment.

        Raises:
            EpisodeError: The action is not in the space.
        """

    @property
    def unwrapped(self) -> ActionWrapper:
        """This environment itself."""
        return self

    def action_space(self, agent: str) -> Space[Any]:
        """The agent's action space, the same object each time."""
        return self.action_spaces[agent]

    @property
    def reward_weights(self) -> Weights:
        """The environment's weights alpha of its reward terms; can be set at any time."""
        return self.env.reward_weights

    @reward_weights.setter
    def reward_weights(self, weights: Sequence[float]) -> None:
        self.env.reward_weights = weights

    @property
    def price(self) -> float:
        """The environment's price of a call; can be set at any time."""
        return self.env.price

    @price.setter
    def price(self, price: float) -> None:
        self.env.price = price

    @property
    def prospect(self) -> float:
        """The team reward that a step would pay now, without its price; for training alone, see the environment."""
        return self.env.prospect

    @property
    def amounts(self) -> list[float]:
        """What each executor's calls in the running decision came to: answered calls, or 1,000 tokens."""
        return self.env.amounts

    @property
    def standing_right(self) -> tuple[bool | None, ...]:
        """Whether each executor's standing reply is right; for training alone, see the environment."""
        return self.env.standing_right

    @property
    def standing_labels(self) -> tuple[int, ...]:
        """A number for each executor's standing answer, equal for equal answers; -1 for none."""
        return self.env.standing_labels

    @property
    def control_names(self) -> tuple[str, ...]:
        """Names of the environment's controls."""
        return self.env.control_names

    @property
    def last_outcome(self) -> RoundOutcome | None:
        """Outcome of the last round of the running decision; `None` before its first round."""
        return self.env.last_outcome

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, Infos]:
        """Reset the environment."""
        return self.env.reset(seed, options)

    async def areset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, Infos]:
        """`reset` for coroutines."""
        return await self.env.areset(seed, options)

    def deliberate(self, actions: Mapping[str, Any]) -> tuple[Observations, Infos]:
        """Run one round with these actions; the decision goes on, and there is no reward."""
        return background.run(self.adeliberate(actions))

    async def adeliberate(self, actions: Mapping[str, Any]) -> tuple[Observations, Infos]:
        """`deliberate` for coroutines."""
        return await self.env.adeliberate(self._read(actions))

    def step(self, actions: Mapping[str, Any]) -> Transition:
        """Submit these actions."""
        return background.run(self.astep(actions))

    async def astep(self, actions: Mapping[str, Any]) -> Transition:
        """`step` for coroutines."""
        return await self.env.astep(self._read(actions))

    def _read(self, actions: Mapping[str, Any]) -> dict[str, ArrayLike]:
        return {agent: self.to_inner(agent, actions[agent]) for agent in self.action_spaces if agent in actions}


class NormalizedActions(ActionWrapper):
    """Actions in Box(-1, 1), mapped linearly onto the bounds of the controls; 0 is the middle, which speaks.

    Policies whose Gaussian starts at 0, or that squash with tanh, then start inside the bounds.

    Args:
        env: An environment with bounded Box actions.

    Raises:
        ConfigError: Its actions are not a bounded Box.
    """

    def __init__(self, env: TeamEnv) -> None:
        self._low, self._high = _bounds(env)
        super().__init__(env, Box(-1.0, 1.0, self._low.shape, np.float32))

    def to_inner(self, agent: str, action: Any) -> Array:
        """The controls of an action in [-1, 1]; values outside are clipped."""
        unit = (np.clip(np.asarray(action, np.float32), -1.0, 1.0) + 1.0) / 2.0
        return self._low + (self._high - self._low) * unit


class DiscreteActions(ActionWrapper):
    """Actions are numbers of points on an even grid over the controls that includes their bounds.

    Args:
        env: An environment with bounded Box actions.
        bins: Points along each control, at least 2; by default 5, and 2 for `speak`, which is 0 or 1. The last control
            changes fastest: with T and p, action i_T * bins[1] + i_p is point (i_T, i_p).

    Attributes:
        controls: The controls of each action, one row each.

    Raises:
        ConfigError: The environment's actions are not a bounded Box, or `bins` does not fit them.
    """

    def __init__(self, env: TeamEnv, bins: Sequence[int] | None = None) -> None:
        low, high = _bounds(env)
        names = env.control_names
        if bins is None:
            bins = [2 if name == "speak" else 5 for name in names]
        if len(bins) != low.size or min(bins) < 2:
            raise ConfigError(f"bins must be {low.size} whole numbers of at least 2, got {tuple(bins)}")
        if any(name == "speak" and count != 2 for name, count in zip(names, bins, strict=True)):
            raise ConfigError(
                f"bins must be 2 for speak, which is either 0 or 1, got {tuple(bins)} for {', '.join(names)}"
            )
        axes = [np.linspace(start, end, n, dtype=np.float32) for start, end, n in zip(low, high, bins, strict=True)]
        self.controls = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, low.size)
        super().__init__(env, Discrete(len(self.controls)))

    def to_inner(self, agent: str, action: Any) -> Array:
        """The controls of an action: an int, or an array with one whole number in it."""
        numbers = np.asarray(action).reshape(-1)
        last = len(self.controls) - 1
        if numbers.size != 1 or numbers.dtype.kind not in "iuf" or numbers[0] not in range(last + 1):
            raise EpisodeError(f"the action of {agent} must be a whole number in 0..{last}, got {action!r}")
        controls: Array = self.controls[int(numbers[0])]
        return controls


def _bounds(env: TeamEnv) -> tuple[Array, Array]:
    space = env.action_space(env.possible_agents[0])
    if not isinstance(space, Box) or not space.is_bounded():
        raise ConfigError(f"the actions to wrap must be a bounded Box, got {space}")
    return space.low.astype(np.float32), space.high.astype(np.float32)
