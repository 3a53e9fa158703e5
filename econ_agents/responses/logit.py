"""Computes logit responses: each agent mixes over a finite set of candidates, better ones with more weight.

DICE (Xie et al. 2026, arXiv:2606.08068) selects equilibria of teams of language models by such responses, with
temperatures that depend on agent and state; here one temperature holds for all.
Axes: B batch, N agents, M candidate actions, A controls of one agent. Actions lie in [-1, 1].
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from econ_agents.config import EquilibriumConfig
from econ_agents.responses.game import Game, candidates, payoffs


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
    game: Game, profile_BNA: Tensor, config: EquilibriumConfig, temperature: float | None = None
) -> LogitResponse:
    """The logit response: candidates weighted by softmax(payoff / temperature). Deterministic.

    A smoothed best response: the higher the temperature, the nearer to even weights. If payoffs are linear in each
    agent's action, profiles of mean actions that respond with themselves are the logit quantal response equilibria of
    the game on the candidates (McKelvey and Palfrey 1995, https://doi.org/10.1006/game.1995.1023).

    Args:
        game: Gives the payoffs.
        profile_BNA: Current actions of all agents, in [-1, 1].
        config: Candidates.
        temperature: In units of payoff, above 0; by default that of `config`.

    Raises:
        TeamError: The game's payoffs have the wrong shape or are not finite.
    """
    grid_MA, _ = candidates(profile_BNA, config)
    B, N, A = profile_BNA.shape
    utility_BNM = payoffs(game, profile_BNA, grid_MA.expand(B, N, -1, A))
    scale = config.temperature if temperature is None else temperature
    return LogitResponse(torch.softmax(utility_BNM / scale, dim=-1), grid_MA)
