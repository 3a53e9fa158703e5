"""Defines the space of an executor's controls, reads them from actions and scales them to [-1, 1].

Axes: A controls of one executor, in the order of `sampling.controls`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import ArrayLike, NDArray

from econ_env.config import SamplingConfig
from econ_env.control_names import short_names
from econ_env.errors import EpisodeError
from econ_env.records import PromptEmbedding

Actions = Mapping[str, ArrayLike]

NUMBERS = ("no", "one", "two", "three", "four", "five", "six")


def action_space(sampling: SamplingConfig) -> Box:
    """The action space: Box of the controls, float32, shape [A]."""
    low, high = zip(*(sampling.bounds(name) for name in sampling.controls), strict=True)
    return Box(np.array(low, np.float32), np.array(high, np.float32))


class ControlScale:
    """Reads controls from actions, writes them into actions, and scales them.

    Args:
        sampling: Which controls there are, their bounds, and the values of the others.
    """

    def __init__(self, sampling: SamplingConfig) -> None:
        self._sampling = sampling
        self._bounds = [sampling.bounds(name) for name in sampling.controls]
        self._low_A, self._high_A = np.array(self._bounds).T
        space = action_space(sampling)
        self._clips = list(zip(space.low.tolist(), space.high.tolist(), strict=True))
        self._fields = [field.name for field in fields(PromptEmbedding)]
        self._set = ["p" if name == sampling.second_action else name for name in sampling.controls]
        self._places = [self._fields.index(name) for name in self._set]
        self._fixed = [getattr(sampling.neutral, name) for name in self._fields]

    def read(self, actions: Actions, agents: Sequence[str]) -> tuple[PromptEmbedding, ...]:
        """Read each agent's controls from its action, clipped to the action space.

        Args:
            actions: The controls [A] per agent.
            agents: Names of the agents to read, in order.

        Raises:
            EpisodeError: An action is missing, or is not A finite numbers.
        """
        profile = []
        for agent in agents:
            if agent not in actions:
                raise EpisodeError(f"no action for {agent}; every agent acts at each step")
            action = np.asarray(actions[agent], np.float32).reshape(-1).tolist()
            if len(action) != len(self._clips) or not all(map(math.isfinite, action)):
                raise EpisodeError(f"the action of {agent} must be {self._described()}, got {actions[agent]!r}")
            values = self._fixed.copy()
            for place, value, (low, high) in zip(self._places, action, self._clips, strict=True):
                values[place] = min(max(value, low), high)
            profile.append(PromptEmbedding(*values))
        return tuple(profile)

    def action(self, embedding: PromptEmbedding) -> list[float]:
        """The action [A] of these controls, the inverse of `read`; those that are not set have their fixed values."""
        values = self._sampling.asked(embedding) | {"speak": embedding.speak, "weight": embedding.weight}
        return [values[name] for name in self._sampling.controls]

    def scaled(self, profile: Sequence[PromptEmbedding]) -> NDArray[np.float32]:
        """Controls mapped from their bounds to [-1, 1], up to rounding errors; shape [len(profile), A]."""
        values_NA = np.array([[getattr(embedding, name) for name in self._set] for embedding in profile])
        unit_NA = ((values_NA - self._low_A) / (self._high_A - self._low_A)).astype(np.float32)
        controls: NDArray[np.float32] = 2.0 * unit_NA - 1.0
        return controls

    def _described(self) -> str:
        """Such as `two finite numbers (T, p)`."""
        names = short_names(self._sampling.controls)
        return f"{NUMBERS[len(names)]} finite number{'s' if len(names) > 1 else ''} ({', '.join(names)})"
