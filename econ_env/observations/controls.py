"""Defines the space of an executor's controls (T, p), reads them from actions and scales them to [-1, 1]."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import ArrayLike, NDArray

from econ_env.config import SamplingConfig
from econ_env.errors import EpisodeError
from econ_env.records import PromptEmbedding

Actions = Mapping[str, ArrayLike]


def action_space(sampling: SamplingConfig) -> Box:
    """The action space: Box of (T, p), float32, shape [2]."""
    low, high = sampling.p_bounds
    return Box(
        np.array([sampling.temperature_min, low], np.float32), np.array([sampling.temperature_max, high], np.float32)
    )


def read_actions(actions: Actions, agents: Sequence[str], space: Box) -> tuple[PromptEmbedding, ...]:
    """Read each agent's controls from its action, clipped to the action space.

    Args:
        actions: (T, p) per agent.
        agents: Names of the agents to read, in order.
        space: The action space of each.

    Raises:
        EpisodeError: An action is missing, or is not two finite numbers.
    """
    bounds = list(zip(space.low.tolist(), space.high.tolist(), strict=True))
    profile = []
    for agent in agents:
        if agent not in actions:
            raise EpisodeError(f"no action for {agent}; every agent acts at each step")
        action = np.asarray(actions[agent], np.float32).reshape(-1).tolist()
        if len(action) != len(bounds) or not all(map(math.isfinite, action)):
            raise EpisodeError(f"the action of {agent} must be two finite numbers (T, p), got {actions[agent]!r}")
        temperature, p = (min(max(value, low), high) for value, (low, high) in zip(action, bounds, strict=True))
        profile.append(PromptEmbedding(temperature, p))
    return tuple(profile)


def scaled(embedding: PromptEmbedding, sampling: SamplingConfig) -> NDArray[np.float32]:
    """(T, p) mapped from its bounds to [-1, 1], up to rounding errors; shape [2]."""
    low, high = sampling.p_bounds
    span = sampling.temperature_max - sampling.temperature_min
    unit = [(embedding.temperature - sampling.temperature_min) / span, (embedding.p - low) / (high - low)]
    controls: NDArray[np.float32] = 2.0 * np.array(unit, np.float32) - 1.0
    return controls
