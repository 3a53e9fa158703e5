"""What an agent would rather play while the others keep to theirs: best and quantal responses, and how much they gain.

Axes: B batch, N agents, M candidate actions, A controls of one agent, P points of a local fit. Actions lie in [-1, 1].
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from econ_agents.errors import TeamError

NOISE_ULPS = 16
"""Differences of payoffs below this many units of rounding are taken for rounding, not for slope or curvature."""


class Game(Protocol):
    """A simultaneous game with continuous actions, one per row of a batch."""

    def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        """Payoffs [B, N, M]: of agent n when it alone plays candidate m and the others keep to the profile.

        Args:
            profile_BNA: What everyone plays now, in [-1, 1].
            candidates_BNMA: What each agent considers, in [-1, 1].
        """


class EquilibriumConfig(BaseModel):
    """How a profile is refined towards an equilibrium."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    max_rounds: int = Field(3, ge=1)
    """K, the rounds a team may be asked; K rounds have K - 1 responses between them, so 1 means no refinement."""
    convergence_threshold: float = Field(0.01, ge=0)
    """Refinement ends when no control would move by this much (in [-1, 1] units)."""
    damping: float = Field(0.0, ge=0, lt=1)
    """Share of the old action that is kept in each response; 0 jumps to the response."""
    temperature: float = Field(0.0, ge=0)
    """Entropy regularisation tau, in units of payoff: 0 is a plain best response, above it a quantal response."""
    stop_when_repeated: bool = True
    """Whether refinement ends once two rounds in a row give the same answer."""
    oscillation_window: int = Field(4, ge=0)
    """Longest cycle looked for, in rounds; below 2 looks for none."""
    oscillation_tolerance: float = Field(0.02, ge=0, lt=1)
    """How near a proposal must come to an earlier profile to count as a cycle, as a share of its last move."""
    grid_size: int = Field(9, ge=2)
    """Values of each control on the grid of candidates."""
    max_candidates: int = Field(512, ge=2)
    """Most candidates; where the grid would have more, as many Sobol points take its place."""
    polish_steps: int = Field(3, ge=0)
    """Local quadratic fits around the best candidate; 3 find a smooth optimum to 1e-4."""


class BestResponse(NamedTuple):
    """The best single deviation of every agent."""

    action_BNA: Tensor
    """What each agent would best play."""
    gain_BN: Tensor
    """How much it would gain, >= 0; all 0 exactly at an equilibrium."""
    utility_BN: Tensor
    """What it gets from the profile as it is."""

    @property
    def nash_conv_B(self) -> Tensor:
        """The best-response gap NashConv, the sum of all gains (Lanctot et al. 2017, arXiv:1711.00832, section 4)."""
        return self.gain_BN.sum(-1)


@torch.no_grad()
def best_response(game: Game, profile_BNA: Tensor, config: EquilibriumConfig) -> BestResponse:
    """Best action of each agent against the others' current ones: exact over the candidates, then polished locally.

    The current action is a candidate too, and wins ties: who gains nothing stays.

    Args:
        game: Gives the payoffs.
        profile_BNA: What everyone plays now, in [-1, 1].
        config: Candidates and polish.

    Raises:
        TeamError: The game's payoffs have the wrong shape or are not finite.
    """
    grid_MA, reach = _candidates(profile_BNA, config)
    B, N, A = profile_BNA.shape
    candidates_BNMA = torch.cat([profile_BNA[:, :, None], grid_MA.expand(B, N, -1, A)], dim=2)
    utility_BNM = payoffs(game, profile_BNA, candidates_BNMA)
    current_BN = utility_BNM[..., 0]
    best_BN, action_BNA = _best_of(candidates_BNMA, utility_BNM)
    for _ in range(config.polish_steps):
        best_BN, action_BNA = _polish(game, profile_BNA, best_BN, action_BNA, reach)
        reach /= 4.0
    return BestResponse(action_BNA, (best_BN - current_BN).clamp(min=0.0), current_BN)


@torch.no_grad()
def quantal_response(game: Game, profile_BNA: Tensor, config: EquilibriumConfig) -> Tensor:
    """Mean action [B, N, A] under the logit response: candidates weighed by softmax(payoff / temperature).

    A smoothed best response: the higher the temperature, the nearer to the middle of the box. Its fixed points are the
    logit quantal response equilibria (McKelvey and Palfrey 1995) of the game on the candidates, each agent playing
    the mean. Where a payoff has two peaks the mean may lie between them. Deterministic.

    Raises:
        TeamError: The game's payoffs have the wrong shape or are not finite.
    """
    grid_MA, _ = _candidates(profile_BNA, config)
    B, N, A = profile_BNA.shape
    utility_BNM = payoffs(game, profile_BNA, grid_MA.expand(B, N, -1, A))
    return torch.softmax(utility_BNM / config.temperature, dim=-1) @ grid_MA


def respond(game: Game, profile_BNA: Tensor, config: EquilibriumConfig) -> Tensor:
    """The damped response [B, N, A] of all agents at once, best or quantal as `config.temperature` says."""
    if config.temperature > 0:
        response_BNA = quantal_response(game, profile_BNA, config)
    else:
        response_BNA = best_response(game, profile_BNA, config).action_BNA
    return torch.lerp(response_BNA, profile_BNA, config.damping)


def payoffs(game: Game, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
    """The game's payoffs, checked.

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


def _candidates(profile_BNA: Tensor, config: EquilibriumConfig) -> tuple[Tensor, float]:
    """Candidates [M, A] that every agent considers, and half the distance between neighbours."""
    candidates_MA, reach = _candidate_set(profile_BNA.shape[-1], config.grid_size, config.max_candidates)
    return candidates_MA.to(profile_BNA), reach


@lru_cache(maxsize=16)
def _candidate_set(action_dim: int, grid_size: int, max_candidates: int) -> tuple[Tensor, float]:
    if grid_size**action_dim <= max_candidates:
        axis = torch.linspace(-1.0, 1.0, grid_size, dtype=torch.float64)
        return torch.cartesian_prod(*[axis] * action_dim).reshape(-1, action_dim), 1.0 / (grid_size - 1)
    sobol: Tensor = torch.quasirandom.SobolEngine(action_dim).draw(  # type: ignore[no-untyped-call] # torch leaves it untyped
        max_candidates, dtype=torch.float64
    )
    return 2.0 * sobol - 1.0, float(max_candidates ** (-1.0 / action_dim))


@lru_cache(maxsize=16)
def _stencil(action_dim: int) -> tuple[Tensor, Tensor]:
    """Offsets [P, A] (centre, plus and minus each axis, plus each pair of axes) and the pairs [2, pairs]."""
    axes = torch.eye(action_dim, dtype=torch.float64)
    pairs = torch.triu_indices(action_dim, action_dim, offset=1)
    return torch.cat([torch.zeros(1, action_dim), axes, -axes, axes[pairs[0]] + axes[pairs[1]]]), pairs


def _best_of(candidates_BNMA: Tensor, utility_BNM: Tensor) -> tuple[Tensor, Tensor]:
    best_BN, index_BN = utility_BNM.max(dim=-1)  # the first of equals
    index_BN1A = index_BN[..., None, None].expand(-1, -1, 1, candidates_BNMA.shape[-1])
    return best_BN, candidates_BNMA.gather(2, index_BN1A).squeeze(2)


def _polish(
    game: Game, profile_BNA: Tensor, best_BN: Tensor, action_BNA: Tensor, reach: float
) -> tuple[Tensor, Tensor]:
    """Move each action to the top of a quadratic fitted within `reach` of it, if the game agrees that it is as good."""
    A = action_BNA.shape[-1]
    offsets_PA, (first, second) = _stencil(A)
    # Shifted inwards at the border, so that every point of the fit lies in the box.
    centre_BNA = action_BNA.clamp(-1.0 + reach, 1.0 - reach)
    points_BNPA = centre_BNA[:, :, None] + reach * offsets_PA.to(profile_BNA)
    utility_BNP = payoffs(game, profile_BNA, points_BNPA)
    noise_BN = NOISE_ULPS * torch.finfo(utility_BNP.dtype).eps * (1.0 + utility_BNP.abs().amax(-1))

    middle_BN1, plus_BNA, minus_BNA, corner_BNP = torch.split(utility_BNP, [1, A, A, len(first)], dim=-1)
    slope_BNA = (plus_BNA - minus_BNA) / 2.0
    bend_BNAA = torch.diag_embed(plus_BNA + minus_BNA - 2.0 * middle_BN1)
    cross_BNP = corner_BNP - plus_BNA[..., first] - plus_BNA[..., second] + middle_BN1
    bend_BNAA[..., first, second] = cross_BNP
    bend_BNAA[..., second, first] = cross_BNP

    trust = _Trust(
        low_BNA=((-1.0 - centre_BNA) / reach).clamp(min=-2.0),
        high_BNA=((1.0 - centre_BNA) / reach).clamp(max=2.0),
        start_BNA=(action_BNA - centre_BNA) / reach,
        noise_BN=noise_BN,
    )
    top_BNA = (centre_BNA + reach * _top(slope_BNA, bend_BNAA, trust)).clamp(-1.0, 1.0)
    top_BN = payoffs(game, profile_BNA, top_BNA[:, :, None]).squeeze(-1)

    tried_BN, tried_BNA = _best_of(
        torch.cat([action_BNA[:, :, None], points_BNPA], dim=2), torch.cat([best_BN[..., None], utility_BNP], dim=-1)
    )
    # Near an optimum payoffs differ by less than rounding, while the fit still knows where the top is.
    agreed_BN = top_BN >= tried_BN - noise_BN
    return torch.where(agreed_BN, top_BN, tried_BN), torch.where(agreed_BN[..., None], top_BNA, tried_BNA)


class _Trust(NamedTuple):
    """Where a fit may be followed, in units of its reach from its centre."""

    low_BNA: Tensor
    high_BNA: Tensor
    start_BNA: Tensor
    """Where the action is now."""
    noise_BN: Tensor
    """Slopes and bends below this are rounding."""


def _top(slope_BNA: Tensor, bend_BNAA: Tensor, trust: _Trust) -> Tensor:
    """Where the quadratic slope.t + t.bend.t / 2 is highest in the trusted box; flat directions stay at `start`."""
    A = slope_BNA.shape[-1]
    tiny = torch.finfo(slope_BNA.dtype).tiny
    concave_BNA = torch.diagonal(bend_BNAA, dim1=-2, dim2=-1) < -trust.noise_BN[..., None]
    newton_BNA = torch.linalg.solve_ex(bend_BNAA, -slope_BNA[..., None]).result.squeeze(-1)
    usable_BN1 = (concave_BNA & torch.isfinite(newton_BNA)).all(-1, keepdim=True)
    t_BNA = torch.where(usable_BN1, newton_BNA.clamp(trust.low_BNA, trust.high_BNA), trust.start_BNA)
    # Two sweeps along the axes settle what the border cut off.
    for a in [*range(A), *range(A)]:
        low_BN, high_BN, own_BN = trust.low_BNA[..., a], trust.high_BNA[..., a], bend_BNAA[..., a, a]
        slope_BN = slope_BNA[..., a] + (bend_BNAA[..., a, :] * t_BNA).sum(-1) - own_BN * t_BNA[..., a]
        vertex_BN = (-slope_BN / own_BN.clamp(max=-tiny)).clamp(low_BN, high_BN)
        border_BN = torch.where(slope_BN > 0, high_BN, low_BN)
        uphill_BN = torch.where(slope_BN.abs() > trust.noise_BN, border_BN, t_BNA[..., a])
        t_BNA = t_BNA.clone()
        t_BNA[..., a] = torch.where(concave_BNA[..., a], vertex_BN, uphill_BN)
    return t_BNA
