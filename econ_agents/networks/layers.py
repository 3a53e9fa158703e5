"""Building blocks of the networks: a multi-layer perceptron, and a module for each agent or one for all."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from econ_agents.errors import TeamError


def mlp(sizes: list[int], dropout: float = 0.0) -> nn.Sequential:
    """Linear layers of the given widths, with layer norm, SiLU and dropout between them."""
    layers: list[nn.Module] = []
    for position, (width_in, width_out) in enumerate(pairwise(sizes)):
        layers.append(nn.Linear(width_in, width_out))
        if position < len(sizes) - 2:
            layers += [nn.LayerNorm(width_out), nn.SiLU()]
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


class PerAgent(nn.Module):
    """One module used by all agents, or one for each.

    Args:
        make: Builds the module; it maps tensors [B, N, x] (or [B, x]) to one with the same leading axes.
        copies: 1 to share it, else the number of agents.
    """

    def __init__(self, make: Callable[[], nn.Module], copies: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(make() for _ in range(copies))

    def forward(self, *inputs_BNx: Tensor) -> Tensor:
        """Apply it to tensors [B, N, x].

        Raises:
            TeamError: There is one module per agent, but for another number of agents.
        """
        if len(self.members) == 1:
            return call(self.members[0], *inputs_BNx)
        n_agents = inputs_BNx[0].shape[1]
        if n_agents != len(self.members):
            raise TeamError(
                f"parameters for {len(self.members)} agents can't serve {n_agents}; train with network.shared"
            )
        outputs = [call(member, *(x[:, i] for x in inputs_BNx)) for i, member in enumerate(self.members)]
        return torch.stack(outputs, dim=1)


def call(module: nn.Module, *inputs: Tensor) -> Tensor:
    """Output of a module, typed as one tensor."""
    output: Tensor = module(*inputs)
    return output
