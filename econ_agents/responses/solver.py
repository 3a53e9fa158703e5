"""Moves a whole profile: the built-in damped responses of all agents at once, and the protocol of other solvers.

Axes: B batch, N agents, A controls of one agent. Actions lie in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from econ_agents.config import EquilibriumConfig
from econ_agents.responses.best import best_response
from econ_agents.responses.game import Game
from econ_agents.responses.logit import logit_response


@runtime_checkable
class Solver(Protocol):
    """Moves a profile towards an equilibrium from round to round; can be given as `EquilibriumConfig.solver`.

    It must be picklable and a pure function; `econ_agents.testing.check_solver` tests all requirements.

    Examples:
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
            config: Damping, response, temperature, candidates.
        """


def respond(game: Game, profile_BNA: Tensor, config: EquilibriumConfig, number: int = 0) -> Tensor:
    """The damped response [B, N, A] of all agents at once: best, or the mean of the logit response.

    Args:
        game: Gives the payoffs.
        profile_BNA: Current actions of all agents, in [-1, 1].
        config: Response, temperature, damping, candidates.
        number: How many responses of the refinement came before; decides the temperature if it falls.

    Raises:
        TeamError: The game's payoffs have the wrong shape or are not finite.
    """
    temperature = config.logit_temperature(number)
    if temperature is None:
        response_BNA = best_response(game, profile_BNA, config).action_BNA
    else:
        response_BNA = logit_response(game, profile_BNA, config, temperature).mean_BNA
    return torch.lerp(response_BNA, profile_BNA, config.damping)
