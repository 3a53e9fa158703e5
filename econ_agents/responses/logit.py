"""Computes logit responses: each agent mixes over a finite set of candidates, better ones with more weight.

DICE (Xie et al. 2026, arXiv:2606.08068) selects equilibria of teams of language models by such responses, with
temperatures that depend on agent and state. Here one temperature holds for all, or each agent has its own at each
state, see `state_temperature`.
Axes: B batch, N agents, M candidate actions, A controls of one agent. Actions lie in [-1, 1].
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from econ_agents.config import EquilibriumConfig
from econ_agents.responses.game import Game, candidates, payoffs
from econ_agents.responses.polish import NOISE_ULPS


class LogitResponse(NamedTuple):
    """A mixed action of every agent: chances over the same candidates."""

    weight_BNM: Tensor
    """Chance of each candidate; sums to 1."""
    candidates_MA: Tensor
    """The candidates."""

    @property
    def mean_BNA(self) -> Tensor:
        """The mean action [B, N, A], which refinement plays.

        For a control that is read as a chance, (1 + a) / 2, it says as much as the weights: with the two candidates -1
        and 1 (`grid_size` 2) it is the mixed action itself. For other controls it may lie between two peaks, where the
        payoff is low: `draw` a candidate there, or use best responses (the likeliest candidate is the best one).
        """
        return self.weight_BNM @ self.candidates_MA

    def draw(self, generator: torch.Generator) -> Tensor:
        """One candidate for each agent [B, N, A], drawn by weight; the generator must be on the weights' device."""
        number_Bn = torch.multinomial(self.weight_BNM.flatten(0, 1), 1, generator=generator)
        return self.candidates_MA[number_Bn.view(self.weight_BNM.shape[:2])]


@torch.no_grad()
def logit_response(
    game: Game,
    profile_BNA: Tensor,
    config: EquilibriumConfig,
    temperature: float | Literal["state"] | None = None,
) -> LogitResponse:
    """The logit response: candidates weighted by softmax(payoff / temperature). Deterministic.

    A smoothed best response: the higher the temperature, the nearer to even weights. If payoffs are linear in each
    agent's action, profiles of mean actions that respond with themselves are the logit quantal response equilibria of
    the game on the candidates (McKelvey and Palfrey 1995, https://doi.org/10.1006/game.1995.1023).

    Args:
        game: Gives the payoffs.
        profile_BNA: Current actions of all agents, in [-1, 1].
        config: Candidates.
        temperature: In units of payoff, above 0, or `state`; by default that of `config`.

    Raises:
        TeamError: The game's payoffs have the wrong shape or are not finite.
    """
    grid_MA, _ = candidates(profile_BNA, config)
    B, N, A = profile_BNA.shape
    utility_BNM = payoffs(game, profile_BNA, grid_MA.expand(B, N, -1, A))
    scale = config.temperature if temperature is None else temperature
    scale_BN1 = state_temperature(utility_BNM, config.temperature_share) if scale == "state" else scale
    return LogitResponse(torch.softmax(utility_BNM / scale_BN1, dim=-1), grid_MA)


def state_temperature(utility_BNM: Tensor, share: float) -> Tensor:
    """Temperatures [B, N, 1] chosen by the state: a share of the standard deviation of an agent's payoffs there.

    So a response depends on how payoffs compare, not on their unit or zero: where little is at stake temperatures are
    low, where much is they are high, and one share fits tasks, agents and stages of training whose payoffs differ. As
    the share goes to 0, responses become best ones among the candidates. With two candidates the better one always has
    the chance 1 / (1 + exp(-2 / share)), however little it gains: such responses tremble, but do not settle where an
    agent is indifferent.

    A temperature that is learned by the value of the profile that is played would always fall to its bound, since by
    the critics' own account nothing is worth more than a best response.

    Args:
        utility_BNM: Payoffs of the candidates.
        share: tau, above 0.
    """
    deviation_BN1 = utility_BNM.std(dim=-1, correction=0, keepdim=True)
    # Payoffs that differ by rounding alone must count as equal, not as best and worst.
    noise_BN1 = NOISE_ULPS * torch.finfo(utility_BNM.dtype).eps * utility_BNM.abs().amax(dim=-1, keepdim=True)
    return (share * deviation_BN1 + noise_BN1).clamp(min=torch.finfo(utility_BNM.dtype).tiny)
