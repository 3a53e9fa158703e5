"""A solver: fictitious play. Its steps shrink, so it can leave a cycle of best responses."""

from collections.abc import Sequence

import torch
from torch import Tensor

from econ_agents.config import EquilibriumConfig
from econ_agents.responses import Game, respond
from econ_agents.testing import check_solver


class FictitiousPlay:
    """Brown 1951; the profile is the average play so far: e_{k+1} = e_k + (BR(e_k) - e_k) / (k + 1)."""

    def respond(self, game: Game, trajectory: Sequence[Tensor], config: EquilibriumConfig) -> Tensor:
        """A step of size 1 / (k + 1) towards the best responses, after k profiles."""
        latest = trajectory[-1]
        return torch.lerp(latest, respond(game, latest, config), 1.0 / (len(trajectory) + 1))


if __name__ == "__main__":
    check_solver(FictitiousPlay)
