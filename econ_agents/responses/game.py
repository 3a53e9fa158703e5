"""Defines what a game is: payoffs of single deviations, and the candidates among which responses are searched.

Axes: B batch, N agents, M candidate actions, A controls of one agent. Actions lie in [-1, 1].
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from econ_agents.config import EquilibriumConfig
from econ_agents.errors import TeamError


class Game(Protocol):
    """A simultaneous game with continuous actions, one per row of a batch."""

    def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        """Payoffs [B, N, M] of agent n if it alone plays candidate m and the others keep the profile.

        Args:
            profile_BNA: Current actions of all agents, in [-1, 1].
            candidates_BNMA: Actions that each agent considers, in [-1, 1].
        """


@runtime_checkable
class Screens(Game, Protocol):
    """A game that can also estimate its payoffs at a fraction of their cost, to choose candidates by."""

    def screen(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        """Estimates [B, N, M] of `utilities`."""


def payoffs(game: Game, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
    """Compute and check the game's payoffs.

    Raises:
        TeamError: They have the wrong shape or are not finite.
    """
    utility_BNM = game.utilities(profile_BNA, candidates_BNMA)
    if utility_BNM.shape != candidates_BNMA.shape[:3]:
        expected, got = tuple(candidates_BNMA.shape[:3]), tuple(utility_BNM.shape)
        raise TeamError(f"a game's utilities must have the shape (batch, agents, candidates) = {expected}, got {got}")
    if not bool(torch.isfinite(utility_BNM).all()):
        raise TeamError("a game's utilities must be finite, got NaN or infinity")
    return utility_BNM


def candidates(profile_BNA: Tensor, config: EquilibriumConfig) -> tuple[Tensor, float]:
    """Candidates [M, A] that every agent considers, and the distance between neighbours."""
    candidates_MA, spacing = _candidate_set(profile_BNA.shape[-1], config.grid_size, config.max_candidates)
    return candidates_MA.to(profile_BNA.dtype).to(profile_BNA.device), spacing  # mps has no doubles


@lru_cache(maxsize=16)
def _candidate_set(action_dim: int, grid_size: int, max_candidates: int) -> tuple[Tensor, float]:
    if grid_size**action_dim <= max_candidates:
        axis = torch.linspace(-1.0, 1.0, grid_size, dtype=torch.float64)
        return torch.cartesian_prod(*[axis] * action_dim).reshape(-1, action_dim), 2.0 / (grid_size - 1)
    sobol: Tensor = torch.quasirandom.SobolEngine(action_dim).draw(  # type: ignore[no-untyped-call] # torch leaves it untyped
        max_candidates, dtype=torch.float64
    )
    return 2.0 * sobol - 1.0, float(2.0 * max_candidates ** (-1.0 / action_dim))


def best_of(candidates_BNMA: Tensor, utility_BNM: Tensor) -> tuple[Tensor, Tensor]:
    """The highest payoff [B, N] and its candidate [B, N, A]; the first of equals."""
    best_BN, index_BN = utility_BNM.max(dim=-1)
    index_BN1A = index_BN[..., None, None].expand(-1, -1, 1, candidates_BNMA.shape[-1])
    return best_BN, candidates_BNMA.gather(2, index_BN1A).squeeze(2)
