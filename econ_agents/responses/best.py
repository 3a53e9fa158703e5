"""Computes the best response of each agent to the others' current actions, and how much it gains.

Axes: B batch, N agents, M candidate actions, A controls of one agent. Actions lie in [-1, 1].
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from econ_agents.config import EquilibriumConfig
from econ_agents.responses.game import Game, Screens, best_of, candidates, payoffs
from econ_agents.responses.polish import polished


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
    grid_MA, spacing = candidates(profile_BNA, config)
    B, N, A = profile_BNA.shape
    tried_BNMA = grid_MA.expand(B, N, -1, A)
    if isinstance(game, Screens) and tried_BNMA.shape[2] > config.finalists:
        estimate_BNM = game.screen(profile_BNA, tried_BNMA)
        chosen_BNM = estimate_BNM.topk(config.finalists, dim=-1).indices.sort(dim=-1).values
        tried_BNMA = tried_BNMA.gather(2, chosen_BNM[..., None].expand(-1, -1, -1, A))
    tried_BNMA = torch.cat([profile_BNA[:, :, None], tried_BNMA], dim=2)
    utility_BNM = payoffs(game, profile_BNA, tried_BNMA)
    current_BN = utility_BNM[..., 0]
    best_BN, action_BNA = best_of(tried_BNMA, utility_BNM)
    if config.polish_steps:
        action_BNA, best_BN = polished(game, profile_BNA, action_BNA, best_BN, spacing / 2.0, config.polish_steps)
    return BestResponse(action_BNA, (best_BN - current_BN).clamp(min=0.0), current_BN)
