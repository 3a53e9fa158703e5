"""Defines the base class of the gymnasium views: it holds the environment and passes calls on to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium

from econ_env.config import Weights
from econ_env.env import RoundOutcome
from econ_env.wrappers.actions import TeamEnv


class View(gymnasium.Env[Any, Any]):
    """Base class of the gymnasium views; subclasses define spaces and steps.

    Args:
        env: The environment, or one with other actions.

    Attributes:
        parallel_env: The given `env`.
    """

    def __init__(self, env: TeamEnv) -> None:
        self.parallel_env = env
        self.metadata = {"render_modes": list(env.metadata["render_modes"])}
        self.render_mode = env.render_mode

    def render(self) -> Any:
        """What the environment renders."""
        return self.parallel_env.render()

    def close(self) -> None:
        """Close the environment."""
        self.parallel_env.close()

    @property
    def reward_weights(self) -> Weights:
        """The environment's weights alpha of its reward terms; can be set at any time."""
        return self.parallel_env.reward_weights

    @reward_weights.setter
    def reward_weights(self, weights: Sequence[float]) -> None:
        self.parallel_env.reward_weights = weights

    @property
    def price(self) -> float:
        """The environment's price of a call; can be set at any time."""
        return self.parallel_env.price

    @price.setter
    def price(self, price: float) -> None:
        self.parallel_env.price = price

    @property
    def prospect(self) -> float:
        """The team reward that a step would pay now, without its price; for training alone, see the environment."""
        return self.parallel_env.prospect

    @property
    def control_names(self) -> tuple[str, ...]:
        """Names of the environment's controls."""
        return self.parallel_env.control_names

    @property
    def last_outcome(self) -> RoundOutcome | None:
        """Outcome of the last round of the running decision; `None` before its first round."""
        return self.parallel_env.last_outcome
