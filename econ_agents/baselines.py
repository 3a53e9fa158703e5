"""Baseline policies that learn nothing: the same controls for every problem, or random ones.

Axes: B batch, N agents, A controls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from econ_agents.errors import TeamError
from econ_agents.team_spec import TeamSpec


class FixedControls:
    """The same profile for every observation.

    Args:
        spec: The team's shape and bounds.
        controls: Controls [A] for all agents, or [N, A] for each, in the environment's units.

    Raises:
        TeamError: The controls do not fit the team, or lie outside its bounds.
    """

    def __init__(self, spec: TeamSpec, controls: Sequence[float] | Sequence[Sequence[float]]) -> None:
        low_A, high_A = np.asarray(spec.action_low), np.asarray(spec.action_high)
        given = np.asarray(controls, dtype=np.float64)
        shapes = ((spec.action_dim,), (spec.n_agents, spec.action_dim))
        if given.shape not in shapes:
            raise TeamError(f"fixed controls must have one of the shapes {shapes}, got {given.shape}")
        if not ((low_A <= given) & (given <= high_A)).all():
            raise TeamError(f"fixed controls must lie in {low_A.tolist()} .. {high_A.tolist()}, got {given.tolist()}")
        profile_NA = np.broadcast_to(2.0 * (given - low_A) / (high_A - low_A) - 1.0, shapes[1])
        self.profile_NA = torch.tensor(profile_NA, dtype=torch.float32)

    def propose(self, obs_BND: Tensor) -> Tensor:
        """The profile [B, N, A] in [-1, 1]."""
        return self.profile_NA.expand(len(obs_BND), -1, -1)


@dataclass(frozen=True)
class RandomControls:
    """Every agent draws its controls uniformly within their bounds; see `seeded`."""

    spec: TeamSpec
    """The team's shape."""
    seed: int = 0
    """Seed of the run, >= 0."""

    def seeded(self, seed: int) -> _Draws:
        """The policy for one episode: draws new controls at each proposal, from this seed and the run's."""
        return _Draws(self.spec, np.random.default_rng([self.seed, seed]))

    def propose(self, obs_BND: Tensor) -> Tensor:
        """The profile [B, N, A] in [-1, 1]; the same at each call, so use `seeded` for episodes."""
        return self.seeded(0).propose(obs_BND)


@dataclass(frozen=True)
class _Draws:
    spec: TeamSpec
    generator: np.random.Generator

    def propose(self, obs_BND: Tensor) -> Tensor:
        shape = (len(obs_BND), self.spec.n_agents, self.spec.action_dim)
        return torch.as_tensor(self.generator.uniform(-1.0, 1.0, shape), dtype=torch.float32)
