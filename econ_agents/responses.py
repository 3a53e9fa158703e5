"""Computes best and quantal responses of each agent to the others' current actions, and how much they gain.

Axes: B batch, N agents, M candidate actions, A controls of one agent, P points of a local fit. Actions lie in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from econ_agents.config import EquilibriumConfig
from econ_agents.errors import TeamError

NOISE_ULPS = 16
"""Payoff differences below this many units of rounding count as rounding errors, not as slope or curvature."""
SETTLED = 1e-5
"""An action is polished until it moves by less. Far below what is asked for: a coarse fit may move little by chance."""


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


@runtime_checkable
class Solver(Protocol):
    """Moves a profile towards an equilibrium from round to round; can be given as `EquilibriumConfig.solver`.

    It must be picklable and a pure function; `econ_agents.testing.check_solver` tests all requirements.

    Example:
        >>> class FictitiousPlay:
        ...     def respond(self, game, trajectory, config):
        ...         latest = trajectory[-1]
        ...         return torch.lerp(latest, respond(game, latest, config), 1.0 / (len(trajectory) + 1))
    """

    def respond(self, game: Game, trajectory: Sequence[Tensor], config: EquilibriumConfig) -> Tensor:
        """The profile [B, N, A] to play next; clipped to [-1, 1].

        A row ends when its next profile equals the last one or hardly differs from it.

        Args:
            game: The game after the last round. Its payoffs can be differentiated under `torch.enable_grad()`.
            trajectory: The profiles [B, N, A] of all rounds so far, oldest first; each row is its own game.
            config: Damping, temperature, candidates.
        """


class BestResponse(NamedTuple):
    """The best single deviation of every agent."""

    action_BNA: Tensor
    """Best action of each agent."""
    gain_BN: Tensor
    """Gain of that action, >= 0; all 0 exactly at an equilibrium."""
    utility_BN: Tensor
    """Payoff of the profile as it is."""

    @property
    def nash_conv_B(self) -> Tensor:
        """The best-response gap NashConv, the sum of all gains (Lanctot et al. 2017, arXiv:1711.00832, section 4)."""
        return self.gain_BN.sum(-1)


@torch.no_grad()
def best_response(game: Game, profile_BNA: Tensor, config: EquilibriumConfig) -> BestResponse:
    """Best action of each agent against the others' current ones: exact over the candidates, then polished locally.

    The current action is also a candidate and wins ties: an agent that gains nothing stays.

    Args:
        game: Gives the payoffs.
        profile_BNA: Current actions of all agents, in [-1, 1].
        config: Candidates and polish.

    Raises:
        TeamError: The game's payoffs have the wrong shape or are not finite.
    """
    grid_MA, spacing = _candidates(profile_BNA, config)
    B, N, A = profile_BNA.shape
    candidates_BNMA = grid_MA.expand(B, N, -1, A)
    if isinstance(game, Screens) and candidates_BNMA.shape[2] > config.finalists:
        estimate_BNM = game.screen(profile_BNA, candidates_BNMA)
        chosen_BNM = estimate_BNM.topk(config.finalists, dim=-1).indices.sort(dim=-1).values
        candidates_BNMA = candidates_BNMA.gather(2, chosen_BNM[..., None].expand(-1, -1, -1, A))
    candidates_BNMA = torch.cat([profile_BNA[:, :, None], candidates_BNMA], dim=2)
    utility_BNM = payoffs(game, profile_BNA, candidates_BNMA)
    current_BN = utility_BNM[..., 0]
    best_BN, action_BNA = _best_of(candidates_BNMA, utility_BNM)
    peak = _Peak(action_BNA, best_BN, torch.full_like(best_BN, spacing / 2.0)[..., None], action_BNA)
    open_BN1 = torch.ones_like(peak.reach_BN1, dtype=torch.bool)
    for _ in range(config.polish_steps):
        polished, doubt_BN = _polish(game, profile_BNA, peak)
        # A settled action stays, so that no result depends on how long the rest of the batch takes.
        peak = peak.replaced(open_BN1, polished)
        open_BN1 = open_BN1 & (doubt_BN[..., None] >= SETTLED)
        if not bool(open_BN1.any()):
            break
    if config.polish_steps:
        peak = _with_guess(game, profile_BNA, peak)
    return BestResponse(peak.action_BNA, (peak.utility_BN - current_BN).clamp(min=0.0), current_BN)


@torch.no_grad()
def quantal_response(game: Game, profile_BNA: Tensor, config: EquilibriumConfig) -> Tensor:
    """Mean action [B, N, A] under the logit response: candidates weighted by softmax(payoff / temperature).

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
    """The damped response [B, N, A] of all agents at once: quantal if `config.temperature` > 0, else best."""
    if config.temperature > 0:
        response_BNA = quantal_response(game, profile_BNA, config)
    else:
        response_BNA = best_response(game, profile_BNA, config).action_BNA
    return torch.lerp(response_BNA, profile_BNA, config.damping)


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


def _candidates(profile_BNA: Tensor, config: EquilibriumConfig) -> tuple[Tensor, float]:
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


def _best_of(candidates_BNMA: Tensor, utility_BNM: Tensor) -> tuple[Tensor, Tensor]:
    best_BN, index_BN = utility_BNM.max(dim=-1)  # the first of equals
    index_BN1A = index_BN[..., None, None].expand(-1, -1, 1, candidates_BNMA.shape[-1])
    return best_BN, candidates_BNMA.gather(2, index_BN1A).squeeze(2)


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
    best_BN, best_BNA = _best_of(
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
