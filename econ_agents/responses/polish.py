"""Moves actions to the top of a nearby peak of their payoffs, by local quadratic fits.

Axes: B batch, N agents, A controls of one agent, P points of a local fit. Actions lie in [-1, 1].
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from econ_agents.responses.game import Game, best_of, payoffs

NOISE_ULPS = 16
"""Payoff differences below this many units of rounding count as rounding errors, not as slope or curvature."""
SETTLED = 1e-5
"""An action is polished until it moves by less. Far below what is asked for: a coarse fit may move little by chance."""


def polished(
    game: Game, profile_BNA: Tensor, action_BNA: Tensor, utility_BN: Tensor, reach: float, steps: int
) -> tuple[Tensor, Tensor]:
    """Better actions [B, N, A] near those given, and their payoffs [B, N].

    Args:
        game: Gives the payoffs.
        profile_BNA: Current actions of all agents.
        action_BNA: Where to start.
        utility_BN: The payoffs there.
        reach: Distance within which better actions are searched for first.
        steps: Limit on fits.

    Raises:
        TeamError: The game's payoffs have the wrong shape or are not finite.
    """
    peak = _Peak(action_BNA, utility_BN, torch.full_like(utility_BN, reach)[..., None], action_BNA)
    open_BN1 = torch.ones_like(peak.reach_BN1, dtype=torch.bool)
    for _ in range(steps):
        moved, doubt_BN = _polish(game, profile_BNA, peak)
        # A settled action stays, so that no result depends on how long the rest of the batch takes.
        peak = peak.replaced(open_BN1, moved)
        open_BN1 = open_BN1 & (doubt_BN[..., None] >= SETTLED)
        if not bool(open_BN1.any()):
            break
    peak = _with_guess(game, profile_BNA, peak)
    return peak.action_BNA, peak.utility_BN


class _Peak(NamedTuple):
    """The best action found so far, and the distance (reach) within which a better one is searched for."""

    action_BNA: Tensor
    utility_BN: Tensor
    reach_BN1: Tensor
    guess_BNA: Tensor
    """Where the last fit has its top; its payoff is not known yet, since it is the centre of the next fit."""

    def replaced(self, where_BN1: Tensor, other: _Peak) -> _Peak:
        """The other peak where so marked, this one elsewhere."""
        return _Peak(
            torch.where(where_BN1, other.action_BNA, self.action_BNA),
            torch.where(where_BN1.squeeze(-1), other.utility_BN, self.utility_BN),
            torch.where(where_BN1, other.reach_BN1, self.reach_BN1),
            torch.where(where_BN1, other.guess_BNA, self.guess_BNA),
        )


class _Fit(NamedTuple):
    """A quadratic slope.t + t.bend.t / 2 around a centre, t in units of the reach, and the bounds of t."""

    slope_BNA: Tensor
    bend_BNAA: Tensor
    noise_BN1: Tensor
    """Slopes and bends below this are rounding errors."""
    start_BNA: Tensor
    """Position of the best action."""
    low_BNA: Tensor
    high_BNA: Tensor


@lru_cache(maxsize=16)
def _stencil(action_dim: int) -> tuple[Tensor, Tensor]:
    """Offsets [P, A] (centre, both ends of each axis, a corner for each pair of axes) and the pairs [2, pairs].

    As few points as determine a quadratic.
    """
    axes = torch.eye(action_dim, dtype=torch.float64)
    pairs = torch.triu_indices(action_dim, action_dim, offset=1)
    one, other = axes[pairs[0]], axes[pairs[1]]
    return torch.cat([torch.zeros(1, action_dim), axes, -axes, one + other]), pairs


def _polish(game: Game, profile_BNA: Tensor, peak: _Peak) -> tuple[_Peak, Tensor]:
    """Fit a quadratic around the guess, whose top is the next guess; returns the peak and how far the guess moved.

    The payoff at the centre of the fit is that of the guess. The reach shrinks fast where the guess moved little.
    """
    offsets_PA, pairs = _stencil(profile_BNA.shape[-1])
    reach_BN1 = peak.reach_BN1
    # Shifted inwards at the border, so that every point of the fit lies in the box.
    centre_BNA = torch.maximum(torch.minimum(peak.guess_BNA, 1.0 - reach_BN1), reach_BN1 - 1.0)
    offsets_PA = offsets_PA.to(profile_BNA.dtype).to(profile_BNA.device)
    points_BNPA = centre_BNA[:, :, None] + reach_BN1[..., None] * offsets_PA
    utility_BNP = payoffs(game, profile_BNA, points_BNPA)
    best_BN, best_BNA = best_of(
        torch.cat([peak.action_BNA[:, :, None], points_BNPA], dim=2),
        torch.cat([peak.utility_BN[..., None], utility_BNP], dim=-1),
    )
    fit = _fit(utility_BNP, pairs, best_BNA, centre_BNA, reach_BN1)
    top_BNA = (centre_BNA + reach_BN1 * _top(fit)).clamp(-1.0, 1.0)
    # The best point keeps the next guess near: a fit may overshoot, or be made around a guess that was no good.
    guess_BNA = torch.maximum(torch.minimum(top_BNA, best_BNA + reach_BN1 / 2.0), best_BNA - reach_BN1 / 2.0)
    moved_BN1 = (guess_BNA - peak.guess_BNA).abs().amax(-1, keepdim=True)
    closer_BN1 = torch.where(moved_BN1 < 0.49 * reach_BN1, reach_BN1 / 4.0, 0.75 * reach_BN1)
    return _Peak(best_BNA, best_BN, closer_BN1, guess_BNA), moved_BN1.squeeze(-1)


def _with_guess(game: Game, profile_BNA: Tensor, peak: _Peak) -> _Peak:
    """The last guess if it is as good as the best point tried, up to rounding: the fit is then more accurate."""
    guess_BN = payoffs(game, profile_BNA, peak.guess_BNA[:, :, None]).squeeze(-1)
    noise_BN = NOISE_ULPS * torch.finfo(guess_BN.dtype).eps * (1.0 + guess_BN.abs())
    agreed_BN1 = (guess_BN >= peak.utility_BN - noise_BN)[..., None]
    return peak.replaced(agreed_BN1, peak._replace(action_BNA=peak.guess_BNA, utility_BN=guess_BN))


def _fit(utility_BNP: Tensor, pairs: Tensor, best_BNA: Tensor, centre_BNA: Tensor, reach_BN1: Tensor) -> _Fit:
    A = centre_BNA.shape[-1]
    middle_BN1, plus_BNA, minus_BNA, corner_BNp = torch.split(utility_BNP, [1, A, A, pairs.shape[1]], dim=-1)
    bend_BNAA = torch.diag_embed(plus_BNA + minus_BNA - 2.0 * middle_BN1)
    cross = corner_BNp - plus_BNA[..., pairs[0]] - plus_BNA[..., pairs[1]] + middle_BN1
    bend_BNAA[..., pairs[0], pairs[1]] = cross
    bend_BNAA[..., pairs[1], pairs[0]] = cross
    return _Fit(
        slope_BNA=(plus_BNA - minus_BNA) / 2.0,
        bend_BNAA=bend_BNAA,
        noise_BN1=NOISE_ULPS * torch.finfo(utility_BNP.dtype).eps * (1.0 + utility_BNP.abs().amax(-1, keepdim=True)),
        start_BNA=(best_BNA - centre_BNA) / reach_BN1,
        low_BNA=((-1.0 - centre_BNA) / reach_BN1).clamp(min=-2.0),
        high_BNA=((1.0 - centre_BNA) / reach_BN1).clamp(max=2.0),
    )


def _top(fit: _Fit) -> Tensor:
    """Position [B, N, A] of the quadratic's maximum within its bounds; flat directions keep their position."""
    A = fit.slope_BNA.shape[-1]
    own_BNA = torch.diagonal(fit.bend_BNAA, dim1=-2, dim2=-1)
    concave_BNA = own_BNA < -fit.noise_BN1
    newton_BNA: Tensor = torch.linalg.solve_ex(fit.bend_BNAA, -fit.slope_BNA[..., None]).result.squeeze(-1)
    usable_BN1 = (concave_BNA & torch.isfinite(newton_BNA)).all(-1, keepdim=True)
    t_BNA = torch.where(usable_BN1, newton_BNA.clamp(fit.low_BNA, fit.high_BNA), fit.start_BNA)
    found_BN1 = usable_BN1 & (t_BNA == newton_BNA).all(-1, keepdim=True)
    if bool(found_BN1.all()):
        return newton_BNA
    # At a bound, or without a maximum, Newton's step is not the answer: sweep along the axes instead.
    for a in list(range(A)) * max(1, 2 * (A - 1)):
        low_BN, high_BN, here_BN = fit.low_BNA[..., a], fit.high_BNA[..., a], t_BNA[..., a]
        slope_BN = fit.slope_BNA[..., a] + (fit.bend_BNAA[..., a, :] * t_BNA).sum(-1) - own_BNA[..., a] * here_BN
        steep_BN = slope_BN.abs() > fit.noise_BN1[..., 0]
        uphill_BN = torch.where(steep_BN, torch.where(slope_BN > 0, high_BN, low_BN), here_BN)
        vertex_BN = (-slope_BN / own_BNA[..., a]).clamp(low_BN, high_BN)
        t_BNA = t_BNA.clone()
        t_BNA[..., a] = torch.where(concave_BNA[..., a], vertex_BN, uphill_BN)
    return torch.where(found_BN1, newton_BNA, t_BNA)
