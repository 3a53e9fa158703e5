"""A solver: fictitious play, which responds to the mean of all that was played, and so can leave a cycle."""

from collections.abc import Sequence

import torch
from torch import Tensor

from econ_agents.responses import EquilibriumConfig, Game, respond
from econ_agents.testing import check_solver


class FictitiousPlay:
    """Brown 1951: each agent responds to how the others played on average."""

    def respond(self, game: Game, trajectory: Sequence[Tensor], config: EquilibriumConfig) -> Tensor:
        """The best responses to the mean profile."""
        return respond(game, torch.stack(list(trajectory)).mean(dim=0), config)


if __name__ == "__main__":
    check_solver(FictitiousPlay)
