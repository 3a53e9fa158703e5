"""A solver: fictitious play, whose steps grow smaller, so that it can leave a cycle in which best responses run."""

from collections.abc import Sequence

import torch
from torch import Tensor

from econ_agents.config import EquilibriumConfig
from econ_agents.responses import Game, respond
from econ_agents.testing import check_solver


class FictitiousPlay:
    """Brown 1951, with what would be played on average as the profile: e_{k+1} = e_k + (BR(e_k) - e_k) / (k + 1)."""

    def respond(self, game: Game, trajectory: Sequence[Tensor], config: EquilibriumConfig) -> Tensor:
        """A step towards the best responses, of one part in the number of rounds."""
        latest = trajectory[-1]
        return torch.lerp(latest, respond(game, latest, config), 1.0 / (len(trajectory) + 1))


if __name__ == "__main__":
    check_solver(FictitiousPlay)
