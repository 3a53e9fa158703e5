"""The live weights alpha of the reward terms AL, TS, CC and any further ones, on the simplex, with a floor under TS.

Axis: R reward terms.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from econ_agents.errors import ConfigError
from econ_agents.team_spec import REWARD_TERMS

DEFAULT_WEIGHTS = (0.1, 0.8, 0.1)
"""Weights (AL, TS, CC) if the environment gives none."""


TS = REWARD_TERMS.index("ts")


class RewardWeights(nn.Module):
    """alpha = floor * (0, 1, 0, ...) + (1 - floor) * softmax(logits).

    Without the floor, learning would prefer the term that is easiest to predict and could drop correctness.

    Args:
        initial: Initial weights (AL, TS, CC, then further terms); they sum to 1.
        ts_floor: Lower bound on the weight of TS, in [0, 1).

    Raises:
        ConfigError: The initial weights do not lie on the simplex, or TS starts below its floor.
    """

    floor_R: Tensor

    def __init__(self, initial: tuple[float, ...], ts_floor: float) -> None:
        super().__init__()
        if len(initial) < len(REWARD_TERMS) or min(initial) < 0 or abs(sum(initial) - 1) > 1e-3:
            raise ConfigError(f"reward weights must be three numbers or more in [0, 1] that sum to 1, got {initial}")
        if initial[TS] < ts_floor:
            raise ConfigError(f"the weight of TS is {initial[TS]}, below alpha.ts_floor {ts_floor}: lower the floor")
        floor_R = torch.zeros(len(initial))
        floor_R[TS] = ts_floor
        free_R = (torch.tensor(initial) - floor_R) / (1 - ts_floor)
        self.register_buffer("floor_R", floor_R)
        self.logits = nn.Parameter(free_R.clamp(min=1e-6).log())

    def forward(self) -> Tensor:
        """Weights alpha [R], which sum to 1 with alpha_TS >= floor."""
        return self.floor_R + (1 - self.floor_R.sum()) * torch.softmax(self.logits, dim=0)

    def values(self) -> tuple[float, ...]:
        """Weights alpha as plain numbers (AL, TS, CC, then further terms)."""
        return tuple(self.forward().cpu().tolist())
